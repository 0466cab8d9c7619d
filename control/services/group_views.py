"""Worker groups and their machines as people see them: short looks, nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, func, or_, select

from control.database.rows import AnyRow, AnySelect
from control.database.tables.environments import workers
from control.database.tables.executions import attempts
from control.database.tables.worker_groups import (
    machines,
    scaling_decisions,
    stack_leases,
    worker_groups,
)
from control.domain.errors import NotFound
from control.domain.scaling.state import MachineState
from control.services.world import World

FAILURES_SHOWN_FOR = timedelta(hours=24)
"""For so long a machine that never joined is shown after its end."""


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group with what is known of it now."""

    row: AnyRow
    counts: Mapping[str, int] = field(default_factory=dict)  # machines not gone, by state
    busy: int = 0  # of them, those whose worker holds an execution
    decision: AnyRow | None = None  # the newest
    lease: AnyRow | None = None  # of its stack, while somebody holds it

    @property
    def live(self) -> int:
        """Machines that the cloud has and that are not ending."""
        ending = (MachineState.TERMINATING, MachineState.GONE)
        return sum(count for state, count in self.counts.items() if state not in ending)


def list_groups(world: World, now: datetime, environment_id: str | None = None) -> list[GroupView]:
    """List the groups of one environment, or all, in the order in which they are tried."""
    query = select(worker_groups).order_by(
        worker_groups.c.environment_id, worker_groups.c.rank, worker_groups.c.name
    )
    if environment_id is not None:
        query = query.where(worker_groups.c.environment_id == environment_id)
    with world.database.read() as connection:
        return _views(connection, connection.execute(query).all(), now)


def find(world: World, lookup: str, now: datetime) -> GroupView:
    """Find a group by id or name. Raises NotFound."""
    with world.database.read() as connection:
        row = connection.execute(
            select(worker_groups).where(
                or_(worker_groups.c.id == lookup, worker_groups.c.name == lookup)
            )
        ).first()
        if row is None:
            raise NotFound(f"There is no worker group '{lookup}'.")
        return _views(connection, [row], now)[0]


def _views(connection: Connection, rows: Sequence[AnyRow], now: datetime) -> list[GroupView]:
    ids = [row.id for row in rows]
    counts: dict[str, dict[str, int]] = {}
    for group_id, state, count in connection.execute(
        select(machines.c.group_id, machines.c.state, func.count())
        .where(machines.c.group_id.in_(ids), machines.c.gone_at.is_(None))
        .group_by(machines.c.group_id, machines.c.state)
    ):
        counts.setdefault(group_id, {})[state] = count
    busy = {row.group_id: row.machines for row in connection.execute(_busy(ids))}
    newest = {
        row.id: row
        for row in connection.execute(
            select(scaling_decisions).where(
                scaling_decisions.c.id.in_([row.decision_id for row in rows if row.decision_id])
            )
        )
    }
    leases = {
        row.stack: row
        for row in connection.execute(
            select(stack_leases).where(
                stack_leases.c.stack.in_([row.stack for row in rows]),
                or_(stack_leases.c.until.is_(None), stack_leases.c.until > now),
            )
        )
    }
    return [
        GroupView(
            row,
            counts.get(row.id, {}),
            busy.get(row.id, 0),
            newest.get(row.decision_id),
            leases.get(row.stack),
        )
        for row in rows
    ]


def _busy(group_ids: Sequence[str]) -> AnySelect:
    return (
        select(machines.c.group_id, func.count(func.distinct(machines.c.id)).label("machines"))
        .join(attempts, attempts.c.worker_id == machines.c.worker_id)
        .where(
            machines.c.group_id.in_(group_ids),
            machines.c.gone_at.is_(None),
            attempts.c.ended_at.is_(None),
        )
        .group_by(machines.c.group_id)
    )


# -- machines -------------------------------------------------------------------------------------
_COLUMNS = [column for column in machines.c if column.name != "console"]
_FIRST = case(
    {
        MachineState.FAILED: 0,
        MachineState.LOST: 1,
        MachineState.LAUNCHING: 2,
        MachineState.DRAINING: 3,
        MachineState.TERMINATING: 4,
    },
    value=machines.c.state,
    else_=5,
)
"""What somebody may have to do something about comes first."""


def list_unready(
    world: World, group_ids: Sequence[str], now: datetime, *, limit: int
) -> list[AnyRow]:
    """List machines that come, go or failed, and of a day those that never joined; no consoles.

    Rows also have `worker`, `group`, `has_console` and `held`, the executions its worker holds.
    """
    is_unready = machines.c.gone_at.is_(None) & (
        (machines.c.state != MachineState.READY) | machines.c.reclaim_at.is_not(None)
    )
    failed_lately = (
        machines.c.joined_at.is_(None)
        & machines.c.console.is_not(None)
        & (machines.c.launched_at > now - FAILURES_SHOWN_FOR)
    )
    query = (
        _with_worker()
        .where(machines.c.group_id.in_(group_ids), or_(is_unready, failed_lately))
        .order_by(_FIRST, machines.c.launched_at.desc(), machines.c.id.desc())
        .limit(limit)
    )
    with world.database.read() as connection:
        return list(connection.execute(query))


def page_of_machines(
    world: World, group_id: str, *, before: str | None, limit: int
) -> list[AnyRow]:
    """List every machine a group ever had, newest first; `before` is the id that ended a page."""
    query = _with_worker().where(machines.c.group_id == group_id)
    if before is not None:
        query = query.where(machines.c.id < before)
    with world.database.read() as connection:
        return list(connection.execute(query.order_by(machines.c.id.desc()).limit(limit)))


def list_orphans(world: World, places: Sequence[tuple[str, str]], *, limit: int) -> list[AnyRow]:
    """List machines with our tags that belong to no group, in clouds and regions."""
    here = [
        (machines.c.cloud == cloud) & (machines.c.region == region)
        for cloud, region in sorted(set(places))
    ]
    if not here:
        return []
    query = (
        _with_worker()
        .where(machines.c.group_id.is_(None), machines.c.gone_at.is_(None), or_(*here))
        .order_by(machines.c.launched_at.desc(), machines.c.id.desc())
        .limit(limit)
    )
    with world.database.read() as connection:
        return list(connection.execute(query))


def consoles(world: World, machine_ids: Sequence[str]) -> dict[str, str]:
    """Read what machines wrote to their consoles, as far as it was kept; for administrators."""
    with world.database.read() as connection:
        rows = connection.execute(
            select(machines.c.id, machines.c.console).where(
                machines.c.id.in_(machine_ids), machines.c.console.is_not(None)
            )
        )
        return {row.id: row.console for row in rows}


CONSOLE_LINES = 15


def trouble(world: World, group: AnyRow, now: datetime) -> list[str]:
    """Say what somebody should see of a group's machines: orphans beside it, the last console."""
    said = [
        f"Orphan {row.instance_id} in {row.region}, found {row.found_at:%Y-%m-%d %H:%M} UTC: "
        f"{row.end_error or row.reason}"
        for row in list_orphans(world, [(group.cloud, group.region)], limit=20)
    ]
    failed = [row for row in list_unready(world, [group.id], now, limit=50) if row.has_console]
    if failed:
        last = max(failed, key=lambda row: row.launched_at)
        lines = consoles(world, [last.id])[last.id].splitlines()[-CONSOLE_LINES:]
        said.append(f"The last console of {last.instance_id}, which never joined:")
        said += [f"  | {line}" for line in lines] or ["  | (it wrote nothing)"]
    return said


def find_machine(world: World, machine_id: str) -> AnyRow:
    """Find a machine, with its console. Raises NotFound."""
    with world.database.read() as connection:
        row = connection.execute(select(machines).where(machines.c.id == machine_id)).first()
    if row is None:
        raise NotFound("There is no such machine.")
    return row


def _with_worker() -> AnySelect:
    held = (
        select(func.count())
        .where(attempts.c.worker_id == machines.c.worker_id, attempts.c.ended_at.is_(None))
        .scalar_subquery()
    )
    return (
        select(
            *_COLUMNS,
            workers.c.name.label("worker"),
            worker_groups.c.name.label("group"),
            machines.c.console.is_not(None).label("has_console"),
            held.label("held"),
        )
        .select_from(machines)
        .outerjoin(workers, workers.c.id == machines.c.worker_id)
        .outerjoin(worker_groups, worker_groups.c.id == machines.c.group_id)
    )
