"""Fences attempts whose agents are silent, and queues what may start."""

from __future__ import annotations

from datetime import datetime

from control.services import healing
from control.services.world import World


def tick(world: World, now: datetime) -> int:
    """1. Fence attempts whose lease has ended. 2. Queue held executions that may start."""
    return healing.reap(world, now) + healing.admit(world, now)
