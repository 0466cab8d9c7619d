"""Wake-ups of the loops: a note in the queue server, taken by the loop that waits for it.

A note is not lost while its loop is busy, and many are one: it is an entry of a priority queue of
its own. When the queue server is away the loop's own rhythm heals.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from control.domain.errors import TemporaryError
from control.domain.ports import QueueEntry
from control.services.world import World

log = structlog.get_logger()

PLAN = "wake:plan"
"""The planner: something waits, or a group changed."""

RESIZE = "wake:resize"
"""The process that runs the engine: a size was decided."""

_NOTE = "now"


def note(loop: str, now: datetime) -> QueueEntry:
    """The entry that wakes a loop, to be pushed with others."""
    return QueueEntry(_NOTE, loop, 0, now)


def wake(world: World, loop: str, now: datetime) -> None:
    """Wake a loop, wherever it runs."""
    try:
        world.queue.push([note(loop, now)])
    except TemporaryError as error:
        log.info("queue_unreachable", error=error.message)


def wait(world: World, loop: str, wait_s: float) -> bool:
    """Wait until somebody wakes the loop; False after `wait_s`. Raises TemporaryError."""
    return world.queue.pop([loop], wait_s=wait_s) is not None
