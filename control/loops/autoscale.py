"""Decides the size of every worker group; reads and writes the database alone, asks no cloud."""

from __future__ import annotations

from datetime import datetime

from control.domain.scaling.plan import plan
from control.services import scaling, wakeups
from control.services.world import World


def tick(world: World, now: datetime) -> int:
    """Look, decide, record; how many decisions were written."""
    seen = scaling.observe(world, now)
    if not seen.groups:
        return 0
    written = scaling.record(world, seen, plan(seen.groups, seen.demands, now), now)
    if written:
        wakeups.wake(world, wakeups.RESIZE, now)
    return written
