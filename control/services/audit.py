"""The audit trail: one row a change, in the transaction of the change (decision 12)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from control.database.ids import new_id
from control.database.tables.people import audit_entries
from control.domain.roles import Caller

OPERATOR = "operator"
"""The actor of a change made by a command on the machine, not by a signed-in person."""


def record(
    connection: Connection,
    caller: Caller | None,
    action: str,
    subject: str,
    *about: *tuple[str | None, dict[str, Any] | None, datetime],
) -> None:
    """Write who changed what; `caller` None is an operator's command. Never pass a secret.

    `about` is the project's id, what else there is to say, and the time.
    """
    project_id, properties, now = about
    connection.execute(
        insert(audit_entries).values(
            id=new_id(now),
            time=now,
            user_id=caller.user_id if caller else None,
            actor=caller.username if caller else OPERATOR,
            action=action,
            project_id=project_id,
            subject=subject[:200],
            properties=properties,
        )
    )
