"""Runs of the engine on stacks, and what happened in each: short looks, nothing is written."""

from __future__ import annotations

from collections.abc import Sequence

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
