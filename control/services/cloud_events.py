"""What a cloud reports besides its list: machines it takes back, launches it refused, prices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import Connection, case, func, select, update

from control.database.rows import AnyRow
from control.database.tables.environments import workers
from control.database.tables.worker_groups import machines as machine_rows
from control.database.tables.worker_groups import worker_groups
from control.domain import reconciling as rules
from control.domain.cloud_ports import Cloud, GroupRef, LaunchFailure, ReclaimNotice
from control.domain.errors import PermanentError, TemporaryError
from control.domain.reconciling import Agent
from control.domain.scaling import memory as memories
from control.domain.scaling.state import MachineState
from control.services import group_memory, machines
from control.services.machines import Place
from control.services.world import World

log = structlog.get_logger()


# -- reclaims -------------------------------------------------------------------------------------
def read_notices(world: World, cloud: Cloud, place: Place, now: datetime) -> None:
    """Let machines drain that the cloud takes back; a notice is dropped once it is recorded."""
    notices = cloud.notices(place.region)
    if notices:
        world.database.write(lambda c: _record_notices(c, place, notices, now))
        cloud.forget(place.region, notices)


def _record_notices(
    connection: Connection, place: Place, notices: Sequence[ReclaimNotice], now: datetime
) -> None:
    for notice in notices:
        group_id = _record_reclaim(connection, place, notice, now)
        if group_id is None:
            continue
        live = connection.execute(
            select(worker_groups.c.seen_count).where(worker_groups.c.id == group_id)
        ).scalar_one()
        group_memory.change(
            connection,
            group_id,
            lambda before, live=live: memories.remember_reclaim(before, live, now),
        )


def _record_reclaim(
    connection: Connection, place: Place, notice: ReclaimNotice, now: datetime
) -> str | None:
    """Note that a machine is taken back, and ask its agent to drain; its group's id the first time.

    What an agent holds that is silent already is free for others now.
    """
    is_ready = machine_rows.c.state == MachineState.READY
    row = connection.execute(
        update(machine_rows)
        .where(
            *place.has(machine_rows),
            machine_rows.c.instance_id == notice.instance_id,
            machine_rows.c.reclaim_at.is_(None),
            machine_rows.c.gone_at.is_(None),
        )
        .values(
            reclaim_at=notice.deadline,
            reason="The cloud takes it back.",
            state=case((is_ready, MachineState.DRAINING.value), else_=machine_rows.c.state),
            drained_at=func.coalesce(machine_rows.c.drained_at, now),
        )
        .returning(machine_rows.c.id, machine_rows.c.group_id)
    ).first()
    if row is None:
        return None
    log.info("machine_reclaimed", machine=notice.instance_id, deadline=str(notice.deadline))
    is_new = workers.c.drain_requested_at.is_(None)
    agent = connection.execute(
        update(workers)
        .where(workers.c.instance_id == notice.instance_id, workers.c.left_at.is_(None))
        .values(
            drain_requested_at=func.coalesce(workers.c.drain_requested_at, now),
            drain_epoch=workers.c.drain_epoch + case((is_new, 1), else_=0),
            status="draining",
        )
        .returning(workers.c.id, workers.c.drain_epoch, workers.c.joined_at, workers.c.last_seen_at)
    ).first()
    if agent is not None:
        machines.change(connection, row.id, drain_epoch=agent.drain_epoch)
        if not Agent(agent.id, agent.joined_at, agent.last_seen_at).lives(now):
            machines.end_leases(connection, agent.id, now)
    return row.group_id


# -- launches that failed -------------------------------------------------------------------------
def read_failures(world: World, cloud: Cloud, place: Place, now: datetime) -> None:
    """Learn which launches the cloud refused since the last look; one group never stops another."""
    del now
    with world.database.read() as connection:
        groups = [row for row in machines.groups_of(connection, place) if row.resource]
    for group in groups:
        since = group.failures_read_at or group.ctime
        try:
            found = cloud.failures(GroupRef(group.name, place.region, group.resource), since=since)
        except (TemporaryError, PermanentError) as error:
            log.warning("failures_not_read", group=group.name, error=error.message)
            message = error.message
            world.database.write(lambda c, group=group, m=message: record_trouble(c, group.id, m))
            continue
        if found:
            world.database.write(lambda c, g=group, f=found: _record_failures(c, g, f))


def _record_failures(
    connection: Connection, group: AnyRow, failures: Sequence[LaunchFailure]
) -> None:
    """Remember failures while the group lacks machines: another zone may have given them."""
    last = max(one.at for one in failures)
    won = connection.execute(
        update(worker_groups)
        .where(
            worker_groups.c.id == group.id,
            func.coalesce(worker_groups.c.failures_read_at, worker_groups.c.ctime) < last,
        )
        .values(failures_read_at=last)
        .returning(worker_groups.c.wanted, worker_groups.c.applied, worker_groups.c.seen_count)
    ).first()
    if won is None:
        return
    log.info("launches_failed", group=group.name, count=len(failures), last=failures[-1].message)
    if max(won.wanted, won.applied) <= won.seen_count:
        return
    policy = group_memory.policy_of(group)

    def learn(before: memories.GroupMemory) -> memories.GroupMemory:
        for one in failures:
            before = memories.remember_failure(before, policy, one.kind, one.message, one.at)
        return before

    group_memory.change(connection, group.id, learn)


def record_trouble(connection: Connection, group_id: str, message: str) -> None:
    """Keep why a group's cloud cannot be read, for people."""
    connection.execute(
        update(worker_groups).where(worker_groups.c.id == group_id).values(cloud_error=message)
    )


# -- money ----------------------------------------------------------------------------------------
def record_spend(connection: Connection, place: Place, now: datetime) -> None:
    """Add what the groups' machines cost since the last count."""
    rows = connection.execute(
        select(machine_rows.c.group_id, func.count().label("count"))
        .where(*place.has(machine_rows), machine_rows.c.gone_at.is_(None))
        .group_by(machine_rows.c.group_id)
    ).all()
    counts = {row.group_id: row[1] for row in rows}
    for group in machines.groups_of(connection, place):
        count, price = counts.get(group.id, 0), group.price_per_hour_usd
        group_memory.change(connection, group.id, _spending(count, price, now))


def _spending(count: int, price: float, now: datetime) -> group_memory.Change:
    def spend(before: memories.GroupMemory) -> memories.GroupMemory:
        since = before.spent_at
        if since is not None and rules.is_counted(since, now):
            return before
        return memories.remember_spend(before, rules.spent_usd(count, price, since, now), now)

    return spend
