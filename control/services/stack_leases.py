"""Leases of stacks: one holder at a time, and a fence that refuses writers of an older lease.

A lease of a process ends by itself unless it is extended; a person's has no end. The row stays
when a lease is given back, for the fence may only rise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from control.database.rows import AnyRow
from control.database.tables.worker_groups import stack_leases, worker_groups
from control.domain.errors import Conflict, NotFound
from control.services import wakeups
from control.services.world import World

LIFE = timedelta(seconds=60)
PERSON = "person:"
FREE = ""


@dataclass(frozen=True, slots=True)
class Left:
    """What a holder that did not give its lease back was doing."""

    run_id: str
    pid: int | None  # of its engine's process group, on `host`
    host: str


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was won. `left`: the last holder died, and must be cleaned up after first."""

    stack: str
    holder: str
    fence: int
    left: Left | None = None


def take(
    world: World, stack: str, holder: str, now: datetime, *, host: str = "", dead: str = ""
) -> Lease | None:
    """Take a free or lapsed lease; None while somebody holds it.

    `dead` names a holder whose process is known to be gone: its lease need not lapse.
    """

    def work(connection: Connection) -> Lease | None:
        row = _row(connection, stack)
        if row is None:
            return _first(connection, stack, holder, now, host)
        is_free = row.until is not None and row.until <= now
        if not (is_free or (dead and row.holder == dead)):
            return None
        fence = row.fence + 1
        won = connection.execute(
            update(stack_leases)
            .where(
                stack_leases.c.stack == stack,
                stack_leases.c.fence == row.fence,
                stack_leases.c.holder == row.holder,
            )
            .values(holder=holder, fence=fence, until=now + LIFE, taken_at=now, host=host)
        )
        if won.rowcount != 1:
            return None
        left = Left(row.run_id, row.pid, row.host) if row.run_id is not None else None
        return Lease(stack, holder, fence, left)

    return world.database.write(work)


def _first(
    connection: Connection, stack: str, holder: str, now: datetime, host: str
) -> Lease | None:
    values = {"stack": stack, "holder": holder, "fence": 1, "until": now + LIFE, "host": host}
    try:
        with connection.begin_nested():
            connection.execute(insert(stack_leases).values(**values, taken_at=now))
    except IntegrityError:
        return None
    return Lease(stack, holder, 1)


def extend(world: World, lease: Lease, now: datetime) -> bool:
    """Hold on for another minute; False when somebody else has it."""
    return _change(world, lease, {"until": now + LIFE})


def attach(world: World, lease: Lease, pid: int) -> bool:
    """Record the process group of the engine, for whoever must clean up after us."""
    return _change(world, lease, {"pid": pid})


def release(world: World, lease: Lease, now: datetime) -> bool:
    """Give it back: nothing of us is left to clean up."""
    values = {"holder": FREE, "until": now, "run_id": None, "pid": None}
    return _change(world, lease, values)


def lapse(world: World, lease: Lease, until: datetime) -> bool:
    """Let go of a lease whose last run is still to be cleaned up after: not before `until`."""
    return _change(world, lease, {"holder": FREE, "until": until})


def _change(world: World, lease: Lease, values: Mapping[str, Any]) -> bool:
    def work(connection: Connection) -> bool:
        return (
            connection.execute(
                update(stack_leases).where(*held_by(lease)).values(**values)
            ).rowcount
            == 1
        )

    return world.database.write(work)


def held_by(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    """The guard of every write that a holder makes."""
    return (
        stack_leases.c.stack == lease.stack,
        stack_leases.c.fence == lease.fence,
        stack_leases.c.holder == lease.holder,
    )


# -- people ---------------------------------------------------------------------------------------
def pause(world: World, lookup: str, person: str, now: datetime) -> bool:
    """Keep the service off a stack; False while its run goes on: ask again.

    From the first call no new run starts.
    """
    group_id, stack = _group(world, lookup)

    def work(connection: Connection) -> bool:
        holder = PERSON + person
        row = _row(connection, stack)
        if row is not None and row.holder.startswith(PERSON) and row.holder != holder:
            raise Conflict(f"{row.holder.removeprefix(PERSON)} has paused {stack} already.")
        connection.execute(
            update(worker_groups).where(worker_groups.c.id == group_id).values(paused_by=person)
        )
        if row is None:
            values = {"stack": stack, "holder": holder, "fence": 1, "taken_at": now}
            connection.execute(insert(stack_leases).values(**values, until=None))
            return True
        if row.holder == holder:
            return True
        won = connection.execute(
            update(stack_leases)
            .where(
                stack_leases.c.stack == stack,
                stack_leases.c.fence == row.fence,
                stack_leases.c.until <= now,
                stack_leases.c.run_id.is_(None),
            )
            .values(holder=holder, fence=row.fence + 1, until=None, taken_at=now, host="")
        )
        return won.rowcount == 1

    return world.database.write(work)


def resume(world: World, lookup: str, now: datetime) -> str:
    """Give a paused stack back to the service; the name of who had paused it."""
    group_id, stack = _group(world, lookup)

    def work(connection: Connection) -> str:
        row = _row(connection, stack)
        paused_by = connection.execute(
            select(worker_groups.c.paused_by).where(worker_groups.c.id == group_id)
        ).scalar()
        if paused_by is None:
            raise Conflict(f"Nobody has paused {stack}.")
        connection.execute(
            update(worker_groups)
            .where(worker_groups.c.id == group_id)
            # A person may have changed anything meanwhile: what held us is tried afresh.
            .values(paused_by=None, retry_at=None, hold="")
        )
        if row is not None and row.holder.startswith(PERSON):
            connection.execute(
                update(stack_leases)
                .where(stack_leases.c.stack == stack, stack_leases.c.fence == row.fence)
                .values(holder=FREE, until=now)
            )
        return str(paused_by)

    who = world.database.write(work)
    wakeups.wake(world, wakeups.RESIZE, now)
    return who


def _group(world: World, lookup: str) -> tuple[str, str]:
    """Find a group's id and stack by its stack or its name."""
    with world.database.read() as connection:
        found = connection.execute(
            select(worker_groups.c.id, worker_groups.c.stack).where(
                (worker_groups.c.stack == lookup) | (worker_groups.c.name == lookup)
            )
        ).first()
    if found is None:
        raise NotFound(
            f"No worker group has the stack {lookup!r}: `talkoot infra status` lists them."
        )
    return found.id, found.stack


# -- looking --------------------------------------------------------------------------------------
def find(world: World, stack: str) -> AnyRow | None:
    """Read a stack's lease; None when there never was one."""
    with world.database.read() as connection:
        return _row(connection, stack)


def unfinished(world: World) -> list[AnyRow]:
    """List the leases under which a run goes on, or was going on when its holder died."""
    with world.database.read() as connection:
        return list(
            connection.execute(
                select(stack_leases)
                .where(stack_leases.c.run_id.is_not(None))
                .order_by(stack_leases.c.taken_at)
            ).all()
        )


def _row(connection: Connection, stack: str) -> AnyRow | None:
    return connection.execute(select(stack_leases).where(stack_leases.c.stack == stack)).first()
