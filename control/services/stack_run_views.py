"""Runs of the engine on stacks, and what happened in each: short looks, nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, union_all

from control.database.rows import AnyRow
from control.database.tables.worker_groups import stack_events, stack_runs, worker_groups
from control.domain.errors import NotFound
from control.services.world import World

RUNNING = "running"


def page_of_runs(
    world: World, *, stack: str | None = None, before: str | None = None, limit: int
) -> list[AnyRow]:
    """List runs, newest first, of one stack or of all; `before` is the id that ended a page."""
    query = select(stack_runs)
    if stack is not None:
        query = query.where(stack_runs.c.stack == stack)
    if before is not None:
        query = query.where(stack_runs.c.id < before)
    with world.database.read() as connection:
        return list(connection.execute(query.order_by(stack_runs.c.id.desc()).limit(limit)))


def newest_runs(world: World, stacks: Sequence[str], *, limit: int) -> list[AnyRow]:
    """List the newest runs of several stacks, newest first."""
    if not stacks:
        return []
    newest = (
        select(stack_runs)
        .where(stack_runs.c.stack == stack)
        .order_by(stack_runs.c.started_at.desc())
        .limit(limit)
        for stack in stacks
    )
    found = union_all(*(one.subquery().select() for one in newest)).subquery()
    with world.database.read() as connection:
        return list(
            connection.execute(
                select(found).order_by(found.c.started_at.desc(), found.c.id.desc()).limit(limit)
            )
        )


def find(world: World, run_id: str) -> AnyRow:
    """Find a run; it also has `group`, a name or None. Raises NotFound."""
    query = (
        select(stack_runs, worker_groups.c.name.label("group"))
        .outerjoin(worker_groups, worker_groups.c.id == stack_runs.c.group_id)
        .where(stack_runs.c.id == run_id)
    )
    with world.database.read() as connection:
        row = connection.execute(query).first()
    if row is None:
        raise NotFound("There is no such run.")
    return row


def events_after(world: World, run_id: str, number: int, *, limit: int) -> list[AnyRow]:
    """List events numbered above `number`, oldest first."""
    with world.database.read() as connection:
        return list(
            connection.execute(
                select(stack_events)
                .where(stack_events.c.run_id == run_id, stack_events.c.number > number)
                .order_by(stack_events.c.number)
                .limit(limit)
            )
        )


def last_events(world: World, run_id: str, *, limit: int) -> list[AnyRow]:
    """List the last events, oldest first."""
    query = (
        select(stack_events)
        .where(stack_events.c.run_id == run_id)
        .order_by(stack_events.c.number.desc())
        .limit(limit)
    )
    with world.database.read() as connection:
        return list(connection.execute(query))[::-1]


def count_events(world: World, run_id: str) -> int:
    """Count a run's events."""
    with world.database.read() as connection:
        return int(
            connection.execute(
                select(func.count()).where(stack_events.c.run_id == run_id)
            ).scalar_one()
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run is: a page that shows another one is out of date."""

    events: int
    stop_requested_by: str | None
    is_over: bool


def standing(world: World, run_id: str) -> Standing:
    """Say how far a run is; one that is not there any more is over."""
    events = (
        select(func.max(stack_events.c.number))
        .where(stack_events.c.run_id == run_id)
        .scalar_subquery()
    )
    query = select(stack_runs.c.ended_at, stack_runs.c.stop_requested_by, events.label("events"))
    with world.database.read() as connection:
        row = connection.execute(query.where(stack_runs.c.id == run_id)).first()
    if row is None:
        return Standing(0, None, True)
    return Standing(row.events or 0, row.stop_requested_by, row.ended_at is not None)
