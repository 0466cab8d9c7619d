"""Moves log lines from the live tail to the log store."""

from __future__ import annotations

from datetime import datetime

from control.services import healing
from control.services.world import World


def tick(world: World, now: datetime) -> int:
    """Store what has arrived since the last tick."""
    return healing.store_logs(world)
