"""Runs of the engine as people see them: begun, told event by event, stopped, ended.

Every write of a run is guarded by its lease's fence: a runner that lost its lease changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, exists, func, insert, select, update

from control.database.ids import new_id
from control.database.rows import AnyRow
from control.database.tables.worker_groups import stack_events, stack_leases, stack_runs
from control.domain.cloud_ports import StackEvent, StackResult
from control.domain.errors import Conflict, Fenced, NotFound
from control.services.stack_leases import Lease, held_by
from control.services.world import World

MAX_EVENTS = 500
"""Kept of one run; a program in a loop must not fill the database."""
KEPT_FOR = timedelta(days=30)
RUNNING = "running"
LOST = "lost"
_TEXT_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class NewRun:
    """What a run is to do."""

    verb: str
    commit: str
    group_id: str | None = None
    size: int | None = None
    decision_id: str | None = None


def begin(world: World, lease: Lease, new: NewRun, now: datetime) -> str:
    """Record that a run begins; its id. Raises Fenced when the lease is lost."""
    run_id = new_id(now)

    def work(connection: Connection) -> None:
        held = connection.execute(
            update(stack_leases).where(*held_by(lease)).values(run_id=run_id, pid=None)
        )
        if held.rowcount != 1:
            raise Fenced(f"The lease of {lease.stack} was taken over.")
        connection.execute(
            insert(stack_runs).values(
                id=run_id,
                stack=lease.stack,
                group_id=new.group_id,
                verb=new.verb,
                size=new.size,
                decision_id=new.decision_id,
                commit=new.commit,
                status=RUNNING,
                started_at=now,
            )
        )

    world.database.write(work)
    return run_id


def add_events(
    world: World, lease: Lease, run_id: str, first: int, events: Sequence[StackEvent]
) -> bool:
    """Keep events, numbered from `first` (the first of a run is 1); False when fenced.

    Of a run's first MAX_EVENTS each is kept, after that only the summary and errors are.
    """
    rows = [
        _event_row(run_id, first + place, event)
        for place, event in enumerate(events)
        if first + place <= MAX_EVENTS or event.kind == "summary"
    ]

    def work(connection: Connection) -> bool:
        held = connection.execute(select(stack_leases.c.fence).where(*held_by(lease))).first()
        if held is None:
            return False
        if rows:
            connection.execute(insert(stack_events), rows)
        return True

    return world.database.write(work)


def _event_row(run_id: str, number: int, event: StackEvent) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "number": number,
        "at": event.at,
        "kind": event.kind[:16],
        "text": event.text[:_TEXT_LIMIT],
        "resource": event.resource[:300],
        "operation": event.operation[:32],
        "severity": event.severity[:16],
    }


def end(
    connection: Connection, lease: Lease, run_id: str, result: StackResult, now: datetime
) -> bool:
    """Record how a run ended, inside the caller's write; False when fenced or ended already."""
    ended = connection.execute(
        update(stack_runs)
        .where(
            stack_runs.c.id == run_id,
            stack_runs.c.status == RUNNING,
            exists(select(stack_leases.c.stack).where(*held_by(lease))),
        )
        .values(
            status=result.outcome,
            ended_at=now,
            engine_s=result.engine_s,
            changes=dict(result.changes),
            error=result.error,
        )
    )
    return ended.rowcount == 1


def mark_lost(world: World, run_id: str, sentence: str, now: datetime) -> bool:
    """End a run whose process died; False when it had ended."""

    def work(connection: Connection) -> bool:
        lost = connection.execute(
            update(stack_runs)
            .where(stack_runs.c.id == run_id, stack_runs.c.status == RUNNING)
            .values(status=LOST, ended_at=now, error=sentence)
        )
        return lost.rowcount == 1

    return world.database.write(work)


# -- people ---------------------------------------------------------------------------------------
def request_stop(world: World, run_id: str, person: str) -> None:
    """Ask for an interrupt; the runner sees it within a second. Raises NotFound, Conflict."""

    def work(connection: Connection) -> None:
        asked = connection.execute(
            update(stack_runs)
            .where(stack_runs.c.id == run_id, stack_runs.c.status == RUNNING)
            .values(stop_requested_by=func.coalesce(stack_runs.c.stop_requested_by, person))
        )
        if asked.rowcount == 1:
            return
        row = connection.execute(select(stack_runs).where(stack_runs.c.id == run_id)).first()
        if row is None:
            raise NotFound(f"No engine run {run_id!r}: `talkoot infra runs` lists them.")
        raise Conflict(f"That run has ended already: {row.status}.")

    world.database.write(work)


def must_stop(world: World, lease: Lease, run_id: str) -> bool:
    """Say whether somebody asked for the interrupt, or the lease was taken over."""
    with world.database.read() as connection:
        goes_on = connection.execute(
            select(stack_runs.c.id).where(
                stack_runs.c.id == run_id,
                stack_runs.c.stop_requested_by.is_(None),
                exists(select(stack_leases.c.stack).where(*held_by(lease))),
            )
        ).first()
    return goes_on is None


def list_newest(
    world: World, *, stack: str | None = None, group_id: str | None = None, limit: int = 50
) -> list[AnyRow]:
    """List runs, newest first, of one stack or group or of all."""
    query = select(stack_runs).order_by(stack_runs.c.started_at.desc(), stack_runs.c.id.desc())
    if stack is not None:
        query = query.where(stack_runs.c.stack == stack)
    if group_id is not None:
        query = query.where(stack_runs.c.group_id == group_id)
    with world.database.read() as connection:
        return list(connection.execute(query.limit(limit)).all())


def find(world: World, run_id: str) -> AnyRow:
    """Read one run. Raises NotFound."""
    with world.database.read() as connection:
        row = connection.execute(select(stack_runs).where(stack_runs.c.id == run_id)).first()
    if row is None:
        raise NotFound("There is no such engine run.")
    return row


def events_of(
    world: World, run_id: str, *, after: int = 0, limit: int = MAX_EVENTS + 1
) -> list[AnyRow]:
    """List a run's events with a number above `after`, in order."""
    with world.database.read() as connection:
        return list(
            connection.execute(
                select(stack_events)
                .where(stack_events.c.run_id == run_id, stack_events.c.number > after)
                .order_by(stack_events.c.number)
                .limit(limit)
            ).all()
        )


def forget_old(world: World, now: datetime) -> int:
    """Delete runs that ended over 30 days ago, with their events; how many."""
    old = select(stack_runs.c.id).where(stack_runs.c.ended_at < now - KEPT_FOR)

    def work(connection: Connection) -> int:
        connection.execute(delete(stack_events).where(stack_events.c.run_id.in_(old)))
        return connection.execute(
            delete(stack_runs).where(stack_runs.c.ended_at < now - KEPT_FOR)
        ).rowcount

    return world.database.write(work)
