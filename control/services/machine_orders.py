"""What a heartbeat of a machine of a cloud brings, and what it hears beside its executions' orders.

Every answer grants the machine a *keep-alive* (SC-7): one that hears nothing for so long and runs
nothing powers itself off. The grant shrinks to nothing only for a machine whose end was sent and
which lives on; never because the cloud's list lacks it, for a list may lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from agent import wire
from control.database.rows import AnyRow
from control.database.tables.worker_groups import machines, worker_groups
from control.services import reclaims
from control.services.releases import wanted_version
from control.services.world import World

KEEP_ALIVE = timedelta(minutes=30)
END_TAKES = timedelta(minutes=10)
"""A machine still here so long after its end was sent ends itself."""

LONGEST_NOTICE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class MachineOrders:
    """The part of wire.Orders that only machines of clouds get."""

    keep_alive_s: float | None = None
    wanted_version: str = ""


def hear(world: World, worker: AnyRow, message: wire.Heartbeat, now: datetime) -> MachineOrders:
    """Note a reclaim that the machine was told of, and answer what it is to do."""
    if worker.instance_id is None:
        return MachineOrders()
    with world.database.read() as connection:
        row = connection.execute(
            select(
                machines.c.id,
                machines.c.end_sent_at,
                machines.c.reclaim_at,
                worker_groups.c.channel,
                worker_groups.c.agent_version,
            )
            .join(worker_groups, worker_groups.c.id == machines.c.group_id)
            .where(machines.c.worker_id == worker.id)
        ).first()
        version = wanted_version(connection, row.channel, row.agent_version) if row else ""
    if row is not None and row.reclaim_at is None and message.reclaim_at:
        _note_reclaim(world, row.id, message.reclaim_at, now)
    return MachineOrders(_keep_alive_s(row, now), version)


def _keep_alive_s(row: AnyRow | None, now: datetime) -> float:
    if row is None or row.end_sent_at is None:
        return KEEP_ALIVE.total_seconds()
    return max(0.0, (row.end_sent_at + END_TAKES - now).total_seconds())


def _note_reclaim(world: World, machine_id: str, at: str, now: datetime) -> None:
    """Keep when the cloud takes it back; a time that cannot be read counts as now."""
    try:
        deadline = datetime.fromisoformat(at)
    except ValueError:
        deadline = now
    deadline = deadline if deadline.tzinfo else deadline.replace(tzinfo=UTC)
    deadline = min(max(deadline, now), now + LONGEST_NOTICE)

    world.database.write(lambda c: reclaims.record(c, machine_id, deadline, now))
