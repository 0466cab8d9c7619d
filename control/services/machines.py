"""Machines of worker groups: the rows that say what we know of each, and their guarded changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from control.database.ids import new_id
from control.database.rows import AnyRow
from control.database.tables.environments import environments, workers
from control.database.tables.worker_groups import machines, worker_groups
from control.domain.cloud_ports import Instance
from control.domain.reconciling import Agent, Known, Verdict
from control.domain.scaling.state import MachineState
from control.services.joining import dismiss


@dataclass(frozen=True, slots=True)
class Place:
    """A region of a cloud."""

    cloud: str
    region: str

    def has(self, table: Any) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        """Pick its rows of machines or groups."""
        return table.c.cloud == self.cloud, table.c.region == self.region


# -- reading --------------------------------------------------------------------------------------
def load(connection: Connection, place: Place) -> list[Known]:
    """Read the machines of a place that are not gone, each with its newest agent."""
    rows = connection.execute(
        select(
            machines,
            workers.c.id.label("agent_id"),
            workers.c.joined_at.label("agent_joined_at"),
            workers.c.last_seen_at,
            workers.c.left_at,
        )
        .outerjoin(workers, workers.c.instance_id == machines.c.instance_id)
        .where(*place.has(machines), machines.c.gone_at.is_(None))
        .order_by(machines.c.launched_at, machines.c.id, workers.c.joined_at)
    ).all()
    newest = {row.id: row for row in rows}  # of two agents of a machine the later one
    return [_known(row) for row in newest.values()]


def _known(row: AnyRow) -> Known:
    agent = None
    if row.agent_id is not None:
        agent = Agent(row.agent_id, row.agent_joined_at, row.last_seen_at, row.left_at is not None)
    return Known(
        id=row.id,
        instance_id=row.instance_id,
        group_id=row.group_id,
        state=MachineState(row.state),
        launched_at=row.launched_at,
        found_at=row.found_at,
        seen_at=row.seen_at,
        joined_at=row.joined_at,
        failed_at=row.failed_at,
        missed_at=row.missed_at,
        end_sent_at=row.end_sent_at,
        end_tries=row.end_tries,
        reclaim_at=row.reclaim_at,
        agent=agent,
    )


def groups_of(connection: Connection, place: Place) -> Sequence[AnyRow]:
    """Read a place's groups, each with its environment's lease."""
    return connection.execute(
        select(worker_groups, environments.c.lease_s)
        .join(environments, environments.c.id == worker_groups.c.environment_id)
        .where(*place.has(worker_groups))
        .order_by(worker_groups.c.id)
    ).all()


def here(place: Place) -> Select[Any]:
    """Ask for the machines of a place that are not gone, each with its group if it has one."""
    return (
        select(machines, worker_groups.c.name.label("group_name"), worker_groups.c.resource)
        .outerjoin(worker_groups, worker_groups.c.id == machines.c.group_id)
        .where(*place.has(machines), machines.c.gone_at.is_(None))
        .order_by(machines.c.launched_at, machines.c.id)
    )


# -- what the list says ---------------------------------------------------------------------------
def record_found(
    connection: Connection,
    place: Place,
    group_id: str | None,
    found: Iterable[Instance],
    now: datetime,
) -> None:
    """Write rows for machines that are new in the list; one that was thought gone is back."""
    rows = [_new_row(place, group_id, one, now) for one in found]
    if not rows:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    was_ended = machines.c.end_sent_at.is_not(None)
    state = case((was_ended, MachineState.TERMINATING.value), else_=MachineState.LAUNCHING.value)
    again = {"gone_at": None, "missed_at": None, "seen_at": now, "found_at": now}
    again |= {"group_id": group_id, "state": state}
    statement = dialect.insert(machines).on_conflict_do_update(
        index_elements=["cloud", "instance_id"], set_=again
    )
    connection.execute(statement, rows)


def _new_row(place: Place, group_id: str | None, one: Instance, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id(now),
        "group_id": group_id,
        "cloud": place.cloud,
        "region": place.region,
        "instance_id": one.id,
        "zone": one.zone,
        "instance_type": one.instance_type,
        "market": one.market,
        "config_version": one.config_version,
        "state": MachineState.LAUNCHING,
        "launched_at": one.launched_at,
        "found_at": now,
        "seen_at": now,
        "drain_epoch": 0,
        "end_tries": 0,
        "end_error": "",
        "reason": "" if group_id else f"Nobody here knows its group '{one.group}'.",
    }


def record_seen(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    """Note that machines are in the list."""
    if ids:
        connection.execute(
            update(machines).where(machines.c.id.in_(ids)).values(seen_at=now, missed_at=None)
        )


def record_missed(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    """Note that machines are not in the list, which is not believed yet."""
    if ids:
        connection.execute(
            update(machines)
            .where(machines.c.id.in_(ids))
            .values(missed_at=func.coalesce(machines.c.missed_at, now))
        )


def record_gone(connection: Connection, machine: Known, now: datetime, failed: str = "") -> bool:
    """Note that the cloud has the machine no more; its agent's leases end now.

    `failed` says why that is a failure, for one that never joined.
    """
    values: dict[str, Any] = {"state": MachineState.GONE, "gone_at": now}
    if failed:
        values |= {"failed_at": now, "reason": failed}
    changed = connection.execute(
        update(machines)
        .where(machines.c.id == machine.id, machines.c.gone_at.is_(None))
        .values(**values)
    )
    if changed.rowcount != 1:
        return False
    if machine.agent is not None:
        dismiss(connection, machine.agent.id, now)
    return True


def record_verdict(
    connection: Connection,
    machine: Known,
    verdict: Verdict,
    after: Collection[MachineState],
    now: datetime,
) -> bool:
    """Move a machine to its next state if it is in one of `after` and its end was not sent."""
    values: dict[str, Any] = {"state": verdict.state, "reason": verdict.reason}
    if verdict.state is MachineState.FAILED:
        values["failed_at"] = now
    if machine.agent is not None:
        values |= {"worker_id": machine.agent.id, "joined_at": machine.agent.joined_at}
    changed = connection.execute(
        update(machines)
        .where(
            machines.c.id == machine.id,
            machines.c.state.in_(after),
            machines.c.end_sent_at.is_(None),
            machines.c.gone_at.is_(None),
        )
        .values(**values)
    )
    return changed.rowcount == 1


def change(connection: Connection, machine_id: str, **values: Any) -> None:
    """Write facts of a machine that change no state."""
    connection.execute(update(machines).where(machines.c.id == machine_id).values(**values))


# -- ends -----------------------------------------------------------------------------------------
def record_end_again(connection: Connection, machine: Known, now: datetime) -> bool:
    """Claim the next try of an end that the cloud has not confirmed."""
    changed = connection.execute(
        update(machines)
        .where(
            machines.c.id == machine.id,
            machines.c.gone_at.is_(None),
            machines.c.end_tries == machine.end_tries,
        )
        .values(end_sent_at=now, end_tries=machine.end_tries + 1)
    )
    return changed.rowcount == 1
