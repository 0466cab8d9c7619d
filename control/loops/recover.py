"""Cleans up after runs whose process died: at the start, and whenever a lease has lapsed.

Source: infrastructure.md 1.7.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from control.domain.cloud_ports import FindResource
from control.domain.errors import PermanentError, TemporaryError
from control.loops.acting import Acting
from control.services import resizing, stack_leases, stack_runs
from control.services.stack_leases import Lease

log = structlog.get_logger()

AGAIN_AFTER = timedelta(minutes=2)
"""Until a stack that could not be cleaned is looked at again."""


def tick(acting: Acting) -> int:
    """Clean every stack whose last holder is gone; how many were cleaned."""
    now = acting.clock()
    cleaned = 0
    for row in stack_leases.unfinished(acting.world):
        dead = row.holder if acting.is_dead(row.holder) else ""
        if not dead and (row.until is None or row.until > now):
            continue
        lease = stack_leases.take(
            acting.world, row.stack, acting.holder, now, host=acting.host, dead=dead
        )
        if lease is not None and clean(acting, lease):
            stack_leases.release(acting.world, lease, acting.clock())
            cleaned += 1
    return cleaned


def finder(acting: Acting, stack: str) -> FindResource:
    """Make the way to find what a group's stack made; of another stack nobody knows anything."""

    def find(type_: str, name: str) -> str | None:
        place = resizing.place_of(acting.world, stack)
        if place is None:
            return None
        return acting.world.clouds(place.cloud).find_resource(place.region, stack, type_, name)

    return find


def clean(acting: Acting, lease: Lease) -> bool:
    """Clean what the last holder left; False when that must wait, and the lease has lapsed."""
    left = lease.left
    if left is None:
        return True
    pid = left.pid if left.host == acting.host else None
    try:
        sentence = acting.engine.recover(lease.stack, pid, finder(acting, lease.stack))
    except (PermanentError, TemporaryError) as error:
        until = acting.clock() + AGAIN_AFTER
        say = log.error if isinstance(error, PermanentError) else log.info
        say("stack_not_recovered", stack=lease.stack, reason=error.message)
        resizing.record_hold_of_stack(acting.world, lease.stack, error.message, until)
        stack_leases.lapse(acting.world, lease, until)
        return False
    log.warning("stack_recovered", stack=lease.stack, run=left.run_id, done=sentence)
    stack_runs.mark_lost(acting.world, left.run_id, f"Its process died. {sentence}", acting.clock())
    return True
