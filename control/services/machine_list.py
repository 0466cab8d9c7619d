"""Brings the machines' rows to what the cloud's list says, in one transaction a place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog
from sqlalchemy import Connection, update

from control.database.rows import AnyRow
from control.database.tables.worker_groups import worker_groups
from control.domain import reconciling as rules
from control.domain.cloud_ports import FailureClass, Instance
from control.domain.reconciling import Known, Limits, Verdict
from control.domain.scaling import memory as memories
from control.domain.scaling.state import MachineState
from control.services import group_memory, machines
from control.services.group_policy import policy_of
from control.services.machines import Place

log = structlog.get_logger()

_AFTER = {
    MachineState.READY: (MachineState.LAUNCHING, MachineState.FAILED, MachineState.LOST),
    MachineState.FAILED: (MachineState.LAUNCHING,),
    MachineState.LOST: (MachineState.LAUNCHING, MachineState.READY, MachineState.DRAINING),
}
"""State to those that it may follow."""


def record_list(
    connection: Connection, place: Place, listed: Sequence[Instance], now: datetime
) -> None:
    """Bring the rows to the list, each group for itself, then the machines of no known group."""
    groups = machines.groups_of(connection, place)
    ids = {group.name: group.id for group in groups}
    group_of = {one.id: ids.get(one.group) for one in listed}
    known = [_adopted(connection, one, group_of) for one in machines.load(connection, place)]
    for group in groups:
        ours = [one for one in known if one.group_id == group.id]
        there = [one for one in listed if one.group == group.name]
        _record_group(connection, place, group, (ours, there), now)
    strays = [one for one in known if one.group_id is None]
    unknown = [one for one in listed if one.group not in ids]
    _record_orphans(connection, place, strays, unknown, now)


def _adopted(connection: Connection, machine: Known, group_of: Mapping[str, str | None]) -> Known:
    """Give an orphan to its group, where we know that by now."""
    group_id = group_of.get(machine.instance_id)
    if machine.group_id is not None or group_id is None:
        return machine
    machines.change(connection, machine.id, group_id=group_id, reason="")
    return replace(machine, group_id=group_id)


def _record_group(
    connection: Connection,
    place: Place,
    group: AnyRow,
    sides: tuple[Sequence[Known], Sequence[Instance]],
    now: datetime,
) -> None:
    known, listed = sides
    reading = rules.read_list(known, listed, had_shrunk=group.has_shrunk, now=now)
    steady = rules.steady_since(group.steady_since, group.seen_at, now)
    machines.record_found(connection, place, group.id, reading.new, now)
    machines.record_seen(connection, [one.id for one in reading.here], now)
    machines.record_missed(connection, [one.id for one in reading.doubted], now)
    for one in reading.gone:
        _record_gone(connection, group, one, now)
    states = {one.id: one.state for one in listed}
    limits = Limits(group.boot_grace_s, group.lease_s, steady)
    for one in reading.here:
        verdict = rules.judge(one, states[one.instance_id], limits, now)
        if verdict is not None:
            _apply(connection, group, one, verdict, now)
    doubt = rules.doubt(len(listed), len(known)) if reading.has_shrunk else ""
    if doubt:
        log.warning("list_doubted", group=group.name, reason=doubt)
    connection.execute(
        update(worker_groups)
        .where(worker_groups.c.id == group.id)
        .values(
            seen_at=now,
            seen_count=len(listed),
            has_shrunk=reading.has_shrunk,
            steady_since=steady,
            cloud_error=doubt,
        )
    )


def _record_gone(connection: Connection, group: AnyRow, machine: Known, now: datetime) -> None:
    never_joined = machine.agent is None and machine.state is MachineState.LAUNCHING
    is_failure = never_joined and not machine.was_expected_to_go and machine.failed_at is None
    reason = "It was gone before its agent joined." if is_failure else ""
    if not machines.record_gone(connection, machine, now, reason):
        return
    log.info("machine_gone", group=group.name, machine=machine.instance_id)
    if is_failure:
        _remember_boot_failure(connection, group, machine, now)


def _apply(
    connection: Connection, group: AnyRow, machine: Known, verdict: Verdict, now: datetime
) -> None:
    if not machines.record_verdict(connection, machine, verdict, _AFTER[verdict.state], now):
        return
    log.info(
        "machine_changed",
        group=group.name,
        machine=machine.instance_id,
        state=str(verdict.state),
        reason=verdict.reason,
    )
    if verdict.state is MachineState.FAILED:
        _remember_boot_failure(connection, group, machine, now)
    elif verdict.state is MachineState.READY and machine.joined_at is None:
        _remember_joined(connection, group, machine)


def _remember_joined(connection: Connection, group: AnyRow, machine: Known) -> None:
    assert machine.agent is not None
    policy, joined_at = policy_of(group), machine.agent.joined_at
    group_memory.change(
        connection, group.id, lambda before: memories.remember_joined(before, policy, joined_at)
    )


def _remember_boot_failure(
    connection: Connection, group: AnyRow, machine: Known, now: datetime
) -> None:
    policy = policy_of(group)
    message = (
        f"machines start and their agents never join, lately {machine.instance_id}: "
        "its console is on the group's page"
    )
    kind = FailureClass.BOOT_TIMEOUT
    group_memory.change(
        connection,
        group.id,
        lambda before: memories.remember_failure(before, policy, kind, message, now),
    )


def _record_orphans(
    connection: Connection,
    place: Place,
    known: Sequence[Known],
    listed: Sequence[Instance],
    now: datetime,
) -> None:
    reading = rules.read_list(known, listed, had_shrunk=True, now=now)
    machines.record_found(connection, place, None, reading.new, now)
    for one in reading.new:
        log.warning("orphan_found", machine=one.id, group=one.group, region=place.region)
    for one in reading.here:
        since = rules.watched_since(one, now)
        machines.change(connection, one.id, seen_at=now, missed_at=None, found_at=since)
    machines.record_missed(connection, [one.id for one in reading.doubted], now)
    for one in reading.gone:
        machines.record_gone(connection, one, now)
