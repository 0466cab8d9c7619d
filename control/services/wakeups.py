"""Wake-ups of the loops: a note in the queue server, taken by the loop that waits for it.

A note is not lost while its loop is busy, and many are one: it is an entry of a priority queue of
its own. When the queue server is away the loop's own rhythm heals.
"""

from __future__ import annotations

import threading
import time
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


LOOK_UP_S = 1.0
"""A loop that waits to be woken sees within this time that it is to end."""


def wake(world: World, loop: str, now: datetime) -> None:
    """Wake a loop, wherever it runs."""
    _push(world, [note(loop, now)])


def wake_all(world: World, now: datetime) -> None:
    """Wake every loop: a group was made or changed."""
    _push(world, [note(PLAN, now), note(RESIZE, now)])


def _push(world: World, notes: list[QueueEntry]) -> None:
    try:
        world.queue.push(notes)
    except TemporaryError as error:
        log.info("queue_unreachable", error=error.message)


def wait(world: World, loop: str, wait_s: float) -> bool:
    """Wait until somebody wakes the loop; False after `wait_s`. Raises TemporaryError."""
    return world.queue.pop([loop], wait_s=wait_s) is not None


def rest(
    world: World, loop: str, most_s: float, stop: threading.Event, *, blind_s: float | None = None
) -> None:
    """Wait until somebody wakes the loop, `most_s` have passed, or `stop` is set.

    While the queue server is away nobody can: then no longer than `blind_s` seconds.
    """
    deadline = time.monotonic() + most_s
    while (left_s := deadline - time.monotonic()) > 0 and not stop.is_set():
        try:
            if wait(world, loop, min(left_s, LOOK_UP_S)):
                return
        except TemporaryError as error:
            log.info("queue_unreachable", error=error.message)
            stop.wait(left_s if blind_s is None else min(left_s, blind_s))
            return
