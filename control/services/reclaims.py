"""Machines that their cloud takes back: told by its queue of notices or by the machine's agent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import Connection, case, func, select, update

from control.database.rows import AnyRow
from control.database.tables.environments import workers
from control.database.tables.executions import attempts
from control.database.tables.worker_groups import machines, worker_groups
from control.domain.cloud_ports import Cloud, ReclaimNotice
from control.domain.reconciling import Agent
from control.domain.scaling import memory as memories
from control.domain.scaling.state import MachineState
from control.services import group_memory
from control.services.machines import Place
from control.services.world import World

log = structlog.get_logger()


def read_notices(world: World, cloud: Cloud, place: Place, now: datetime) -> None:
    """Let machines drain that the cloud takes back; a notice is dropped once it is recorded."""
    notices = cloud.notices(place.region)
    if notices:
        world.database.write(lambda c: _record_all(c, place, notices, now))
        cloud.forget(place.region, notices)


def _record_all(
    connection: Connection, place: Place, notices: Sequence[ReclaimNotice], now: datetime
) -> None:
    for notice in notices:
        machine_id = connection.execute(
            select(machines.c.id).where(
                *place.has(machines), machines.c.instance_id == notice.instance_id
            )
        ).scalar()
        if machine_id is not None:
            record(connection, machine_id, notice.deadline, now)


def record(connection: Connection, machine_id: str, deadline: datetime, now: datetime) -> bool:
    """Note that a machine is taken back, and ask its agent to drain; True the first time.

    What an agent holds that is silent already is free for others now. It is no failure of the
    group, but many reclaims let other groups be tried first.
    """
    is_ready = machines.c.state == MachineState.READY
    row = connection.execute(
        update(machines)
        .where(
            machines.c.id == machine_id,
            machines.c.reclaim_at.is_(None),
            machines.c.gone_at.is_(None),
        )
        .values(
            reclaim_at=deadline,
            reason="The cloud takes it back.",
            state=case((is_ready, MachineState.DRAINING.value), else_=machines.c.state),
            drained_at=func.coalesce(machines.c.drained_at, now),
        )
        .returning(machines.c.group_id, machines.c.instance_id)
    ).first()
    if row is None:
        return False
    log.info("machine_reclaimed", machine=row.instance_id, deadline=deadline.isoformat())
    _ask_agent(connection, machine_id, row.instance_id, now)
    if row.group_id is not None:
        _remember(connection, row.group_id, now)
    return True


def _ask_agent(connection: Connection, machine_id: str, instance_id: str, now: datetime) -> None:
    is_new = workers.c.drain_requested_at.is_(None)
    row = connection.execute(
        update(workers)
        .where(workers.c.instance_id == instance_id, workers.c.status != "left")
        .values(
            drain_requested_at=func.coalesce(workers.c.drain_requested_at, now),
            drain_epoch=workers.c.drain_epoch + case((is_new, 1), else_=0),
            status="draining",
            drain_cause="",
        )
        .returning(workers.c.id, workers.c.drain_epoch, workers.c.joined_at, workers.c.last_seen_at)
    ).first()
    if row is None:
        return
    connection.execute(
        update(machines).where(machines.c.id == machine_id).values(drain_epoch=row.drain_epoch)
    )
    if not _lives(row, now):
        connection.execute(
            update(attempts)
            .where(attempts.c.worker_id == row.id, attempts.c.ended_at.is_(None))
            .values(lease_until=now)
        )


def _lives(row: AnyRow, now: datetime) -> bool:
    return Agent(row.id, row.joined_at, row.last_seen_at).lives(now)


def _remember(connection: Connection, group_id: str, now: datetime) -> None:
    live = connection.execute(
        select(worker_groups.c.seen_count).where(worker_groups.c.id == group_id)
    ).scalar_one()
    group_memory.change(
        connection, group_id, lambda before: memories.remember_reclaim(before, live, now)
    )
