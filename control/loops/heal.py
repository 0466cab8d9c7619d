"""Puts back what the queue server has lost."""

from __future__ import annotations

from datetime import datetime

from control.services import healing
from control.services.world import World


def tick(world: World, now: datetime) -> int:
    """Compare the queues with the database and push what is missing."""
    return healing.heal_queue(world, now)
