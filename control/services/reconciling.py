"""Makes what we know of machines true again, one place at a time: a region of a cloud.

No connection is open during a call of the cloud. Every step can be cut off anywhere: the next tick
begins again from what the rows say.

    list ──► rows ──► reclaim notices ──► consoles of the failed
                 ──► ends of failed, lost, orphans ──► ends sent again ──► launch failures ──► money
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from sqlalchemy import case, select

from control.database.tables.worker_groups import machines as machine_rows
from control.database.tables.worker_groups import worker_groups
from control.domain.cloud_ports import Cloud
from control.domain.errors import PermanentError, TemporaryError
from control.domain.reconciling import AWAITED_FOR
from control.services import cloud_events, machine_ends, machines, reclaims
from control.services.machine_list import record_list
from control.services.machines import Place
from control.services.world import World

log = structlog.get_logger()

Step = Callable[[World, Cloud, Place, datetime], None]
STEPS: tuple[Step, ...] = (
    reclaims.read_notices,
    machine_ends.keep_consoles,
    machine_ends.end_broken,
    machine_ends.end_orphans,
    machine_ends.send_ends_again,
    cloud_events.read_failures,
    cloud_events.read_prices,
)


def places(world: World) -> list[Place]:
    """List where machines of ours may be."""
    with world.database.read() as connection:
        rows = [
            *connection.execute(
                select(worker_groups.c.cloud, worker_groups.c.region).distinct()
            ).all(),
            *connection.execute(
                select(machine_rows.c.cloud, machine_rows.c.region)
                .where(machine_rows.c.gone_at.is_(None))
                .distinct()
            ).all(),
        ]
    found = {Place(row.cloud, row.region) for row in rows}
    return sorted(found, key=lambda place: (place.cloud, place.region))


def awaited(world: World, now: datetime) -> set[Place]:
    """List the places whose clouds owe machines that were asked for a moment ago.

    A list that is doubted is not read again so soon: the next one is to be another look.
    """
    size = case(
        (worker_groups.c.wanted > worker_groups.c.applied, worker_groups.c.wanted),
        else_=worker_groups.c.applied,
    )
    with world.database.read() as connection:
        rows = connection.execute(
            select(worker_groups.c.cloud, worker_groups.c.region, worker_groups.c.has_shrunk).where(
                worker_groups.c.wanted_at >= now - AWAITED_FOR, size > worker_groups.c.seen_count
            )
        ).all()
    doubted = {Place(row.cloud, row.region) for row in rows if row.has_shrunk}
    return {Place(row.cloud, row.region) for row in rows} - doubted


def reconcile(world: World, place: Place, now: datetime) -> None:
    """Do one place once. Raises TemporaryError or PermanentError when something hindered it.

    When its list cannot be read nothing is changed but the reason that people see; what hinders a
    later step does not hinder the others.
    """
    try:
        cloud = world.clouds(place.cloud)
        listed = cloud.instances(place.region)
    except (TemporaryError, PermanentError) as error:
        _record_trouble(world, place, error)
        raise
    world.database.write(lambda connection: record_list(connection, place, listed, now))
    failed: TemporaryError | PermanentError | None = None
    for step in STEPS:
        try:
            step(world, cloud, place, now)
        except (TemporaryError, PermanentError) as error:
            failed = error
            log.warning("reconcile_step_failed", step=step.__name__, error=error.message)
            _record_trouble(world, place, error)
    world.database.write(lambda connection: cloud_events.record_spend(connection, place, now))
    if failed is not None:
        raise failed


def _record_trouble(world: World, place: Place, error: TemporaryError | PermanentError) -> None:
    with world.database.read() as connection:
        groups = machines.groups_of(connection, place)
    for group in groups:
        world.database.write(
            lambda c, group=group: cloud_events.record_trouble(c, group.id, error.message)
        )
