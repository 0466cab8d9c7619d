"""Launches that a cloud refused, and what its machines cost: into the memory of their groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from sqlalchemy import Connection, func, select, update

from control.database.rows import AnyRow
from control.database.tables.worker_groups import machines as machine_rows
from control.database.tables.worker_groups import worker_groups
from control.domain import reconciling as rules
from control.domain.cloud_ports import Cloud, GroupRef, LaunchFailure
from control.domain.errors import PermanentError, TemporaryError
from control.domain.scaling import memory as memories
from control.services import group_memory, machines
from control.services.group_policy import policy_of
from control.services.machines import Place
from control.services.world import World

log = structlog.get_logger()


# -- launches that failed -------------------------------------------------------------------------
def read_failures(world: World, cloud: Cloud, place: Place, now: datetime) -> None:
    """Learn which launches the cloud refused since the last look; one group never stops another."""
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
            world.database.write(lambda c, g=group, f=found: _record_failures(c, g, f, now))


def _record_failures(
    connection: Connection, group: AnyRow, failures: Sequence[LaunchFailure], now: datetime
) -> None:
    """Remember failures while the group lacks machines: another zone may have given them."""
    row = connection.execute(
        select(worker_groups).where(worker_groups.c.id == group.id).with_for_update()
    ).one()
    last = max(one.at for one in failures)
    if (row.failures_read_at or row.ctime) >= last:
        return  # another process was first
    is_short = max(row.wanted, row.applied) > row.seen_count
    given_at = _newest_launch(connection, group.id)
    if is_short and rules.may_still_come(last, given_at, now):
        return  # the next read decides
    connection.execute(
        update(worker_groups).where(worker_groups.c.id == group.id).values(failures_read_at=last)
    )
    log.info("launches_failed", group=group.name, count=len(failures), last=failures[-1].message)
    if not is_short:
        return
    policy = policy_of(row)

    def learn(before: memories.GroupMemory) -> memories.GroupMemory:
        for one in failures:
            before = memories.remember_failure(
                before, policy, one.kind, one.message, one.at, given_at
            )
        return before

    group_memory.change(connection, group.id, learn)


def _newest_launch(connection: Connection, group_id: str) -> datetime | None:
    return connection.execute(
        select(machine_rows.c.launched_at)
        .where(machine_rows.c.group_id == group_id)
        .order_by(machine_rows.c.launched_at.desc())
        .limit(1)
    ).scalar()


def record_trouble(connection: Connection, group_id: str, message: str) -> None:
    """Keep why a group's cloud cannot be read, for people."""
    connection.execute(
        update(worker_groups).where(worker_groups.c.id == group_id).values(cloud_error=message)
    )


# -- money ----------------------------------------------------------------------------------------
def read_prices(world: World, cloud: Cloud, place: Place, now: datetime) -> None:
    """Bring spot groups to the price of the hour; an on-demand price is the operator's."""
    with world.database.read() as connection:
        groups = [
            row
            for row in machines.groups_of(connection, place)
            if row.market == "spot" and rules.is_price_old(row.price_read_at, now)
        ]
    for group in groups:
        price = cloud.price(place.region, group.instance_type, group.market)
        values: dict[str, object] = {"price_read_at": now}
        if price is not None:
            values["price_per_hour_usd"] = price
        statement = update(worker_groups).where(worker_groups.c.id == group.id).values(**values)
        world.database.write(lambda c, statement=statement: c.execute(statement) and None)


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


def _spending(
    count: int, price: float, now: datetime
) -> Callable[[memories.GroupMemory], memories.GroupMemory]:
    def spend(before: memories.GroupMemory) -> memories.GroupMemory:
        since = before.spent_at
        if since is not None and rules.is_counted(since, now):
            return before
        return memories.remember_spend(before, rules.spent_usd(count, price, since, now), now)

    return spend
