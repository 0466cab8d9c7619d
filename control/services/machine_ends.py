"""Ends machines that nobody needs: failed, lost, orphans; and what was to end and has not yet.

Each end is claimed in the database first and asked of the cloud after that commit, so two processes
never both lower a group's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from control.database.rows import AnyRow
from control.database.tables.worker_groups import machines as machine_rows
from control.domain import reconciling as rules
from control.domain.cloud_ports import Cloud, GroupRef
from control.domain.errors import PermanentError, TemporaryError
from control.domain.reconciling import Known
from control.domain.scaling.state import MachineState
from control.services import drains, machines
from control.services.machines import Place
from control.services.world import World

log = structlog.get_logger()

_ENDABLE = (MachineState.FAILED, MachineState.LOST)
_ENDABLE_ORPHAN = tuple(set(MachineState) - {MachineState.TERMINATING, MachineState.GONE})
CONSOLE_CHARACTERS = 64_000
CONSOLE_PATIENCE = timedelta(minutes=5)
"""So long past its failure a machine is kept for a console that cannot be read."""


def keep_consoles(world: World, cloud: Cloud, place: Place, now: datetime) -> None:
    """Fetch what machines wrote that never joined."""
    del now
    with world.database.read() as connection:
        rows = connection.execute(
            machines.here(place).where(
                machine_rows.c.state == MachineState.FAILED, machine_rows.c.console.is_(None)
            )
        ).all()
    for row in rows:
        text = cloud.console_output(place.region, row.instance_id)
        text = rules.last_part(text, CONSOLE_CHARACTERS)
        world.database.write(lambda c, row=row, text=text: machines.change(c, row.id, console=text))


def end_broken(world: World, cloud: Cloud, place: Place, now: datetime) -> None:
    """End machines that never joined or whose agent is lost."""
    with world.database.read() as connection:
        rows = connection.execute(
            machines.here(place).where(
                machine_rows.c.end_sent_at.is_(None),
                machine_rows.c.state.in_([MachineState.FAILED, MachineState.LOST]),
            )
        ).all()
    for row in rows:
        is_unread = row.state == MachineState.FAILED and row.console is None
        if is_unread and now - (row.failed_at or now) < CONSOLE_PATIENCE:
            continue  # the next tick has its console, or patience ends
        _end(world, cloud, row, now)


def end_orphans(world: World, cloud: Cloud, place: Place, now: datetime) -> None:
    """End machines of unknown groups that were reported for long enough."""
    for known, row in _both(world, place):
        if known.group_id is None and rules.may_end_orphan(known, now):
            _end(world, cloud, row, now, _ENDABLE_ORPHAN)


def send_ends_again(world: World, cloud: Cloud, place: Place, now: datetime) -> None:
    """Repeat terminations that the cloud has not confirmed."""
    for known, row in _both(world, place):
        if rules.should_send_end_again(known, now) and world.database.write(
            lambda c, known=known: machines.record_end_again(c, known, now)
        ):
            _terminate(world, cloud, row)


def _both(world: World, place: Place) -> list[tuple[Known, AnyRow]]:
    with world.database.read() as connection:
        rows = {row.id: row for row in connection.execute(machines.here(place)).all()}
        known = machines.load(connection, place)
    return [(one, rows[one.id]) for one in known if one.id in rows]


def _end(
    world: World,
    cloud: Cloud,
    row: AnyRow,
    now: datetime,
    states: Sequence[MachineState] = _ENDABLE,
) -> None:
    """End a machine unless its agent holds a lease or somebody else ends it."""
    if world.database.write(lambda c: drains.begin_end(c, row.id, now, states)):
        log.info("machine_ended", machine=row.instance_id, reason=row.reason)
        _terminate(world, cloud, row)


def _terminate(world: World, cloud: Cloud, row: AnyRow) -> None:
    """Ask the cloud; what it refuses is kept with the machine, and the others are not held up."""
    try:
        if row.group_id is None:
            cloud.end_orphan(row.region, row.instance_id)
            return
        group = GroupRef(row.group_name, row.region, row.resource)
        capacity = cloud.capacity(group)
        # A broken machine goes whatever the minimum says: the cloud starts another one for it.
        replace = capacity is not None and capacity.desired <= capacity.minimum
        cloud.terminate(group, row.instance_id, replace=replace)
    except (TemporaryError, PermanentError) as error:
        log.warning("machine_not_ended", machine=row.instance_id, error=error.message)
        hindered = f"It could not be ended yet: {error.message}"
        world.database.write(lambda c: machines.change(c, row.id, end_error=hindered))
