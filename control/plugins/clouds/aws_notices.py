"""EC2's warnings that a spot machine is taken back, as they lie in the installation's queue.

The base stack sends the event "EC2 Spot Instance Interruption Warning" of its region there. The
warning comes two minutes before the end, best effort (platform-behaviour.md SC-11).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from control.domain.cloud_ports import ReclaimNotice

WARNING = timedelta(minutes=2)
_KIND = "EC2 Spot Instance Interruption Warning"


def notice_of(message: Mapping[str, Any]) -> ReclaimNotice | None:
    """Read a message of the queue; None for one that announces no end."""
    try:
        event = json.loads(message.get("Body", ""))
        if event["detail-type"] != _KIND:
            return None
        at = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
        instance_id = str(event["detail"]["instance-id"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return ReclaimNotice(instance_id, at + WARNING, str(message.get("ReceiptHandle", "")))
