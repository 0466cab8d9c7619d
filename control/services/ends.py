"""Machines whose drain was obeyed: what the terminating loop reads, and its guarded writes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, exists, select, update

from control.database.rows import AnyRow
from control.database.tables.environments import workers
from control.database.tables.worker_groups import machines, stack_leases, worker_groups
from control.domain.scaling.state import MachineState
from control.services import drains
from control.services.world import World

_RUNS = exists().where(
    stack_leases.c.stack == worker_groups.c.stack, stack_leases.c.run_id.is_not(None)
)


def obeyed(world: World, now: datetime) -> list[AnyRow]:
    """List draining machines that may be ended, the longest waiting first, with their group.

    One that holds a lease after all works again (step 7.3). Groups on whose stack an engine runs
    wait: its size was counted with these machines.
    """
    with world.database.read() as connection:
        rows = connection.execute(
            select(
                machines.c.id,
                machines.c.instance_id,
                machines.c.worker_id,
                machines.c.group_id,
                worker_groups.c.name.label("group_name"),
                worker_groups.c.cloud,
                worker_groups.c.region,
                worker_groups.c.resource,
            )
            .join(worker_groups, worker_groups.c.id == machines.c.group_id)
            .where(
                machines.c.state == MachineState.DRAINING,
                machines.c.end_sent_at.is_(None),
                machines.c.gone_at.is_(None),
                ~_RUNS,
            )
            .order_by(machines.c.drained_at)
        ).all()
        standings = [(row, drains.standing(connection, row.id, now)) for row in rows]
    ready: list[AnyRow] = []
    for row, standing in standings:
        if standing.leases:
            take_back(world, row, "It got work before it could stop.", now)
        elif standing.is_obeyed:
            ready.append(row)
    return ready


def take_back(world: World, machine: AnyRow, reason: str, now: datetime) -> bool:
    """Let a machine work again; it counts as idle from now, so that it is not drained at once."""

    def work(connection: Connection) -> bool:
        if not drains.take_back(connection, machine.id, reason):
            return False
        connection.execute(
            update(workers).where(workers.c.id == machine.worker_id).values(idle_since=now)
        )
        return True

    return world.database.write(work)


def begin(world: World, machine: AnyRow, now: datetime) -> bool:
    """Pass the point of no return; False when it works again, or somebody else ends it."""
    return world.database.write(lambda connection: drains.begin_end(connection, machine.id, now))


def record_refused(world: World, machine: AnyRow, sentence: str) -> None:
    """Keep why the cloud has not taken the order yet; reconcile sends it again."""
    world.database.write(
        lambda connection: (
            connection.execute(
                update(machines).where(machines.c.id == machine.id).values(reason=sentence)
            )
            and None
        )
    )
