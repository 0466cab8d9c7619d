"""What the resize loop reads of groups and writes back: sizes that wait, runs that ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from control.database.rows import AnyRow
from control.database.tables.worker_groups import (
    machines,
    scaling_decisions,
    stack_leases,
    worker_groups,
)
from control.domain import resizing as rules
from control.domain.cloud_ports import StackResult
from control.domain.resizing import GroupSize
from control.domain.scaling import memory as memories
from control.services import group_memory, stack_runs
from control.services.group_policy import policy_of
from control.services.machines import Place
from control.services.stack_leases import Lease, held_by
from control.services.world import World

_CHANGED = (
    (worker_groups.c.wanted > worker_groups.c.applied)
    | (worker_groups.c.config_version != worker_groups.c.applied_version)
    | (worker_groups.c.hold != "")
)


@dataclass(frozen=True, slots=True)
class Due:
    """A group whose newest size must be carried out now."""

    group_id: str
    stack: str


def due(world: World, now: datetime) -> list[Due]:
    """List the groups for which the engine must run, the longest waiting first.

    Those that wait get their reason written, and those that no longer do get it cleared.
    """
    with world.database.read() as connection:
        rows = connection.execute(
            select(worker_groups).where(_CHANGED).order_by(worker_groups.c.wanted_at)
        ).all()
    found: list[Due] = []
    for row in rows:
        verdict = rules.judge(size_of(row), now)
        if verdict.must_run:
            found.append(Due(row.id, row.stack))
        elif verdict.waits_because != row.hold:
            _set(world, row.id, hold=verdict.waits_because)
    return found


def size_of(row: AnyRow) -> GroupSize:
    """Read from a group's row what decides on a run."""
    memory = memories.from_json(row.memory)
    is_open = memory.breaker_version == row.config_version
    return GroupSize(
        wanted=row.wanted,
        applied=row.applied,
        config_version=row.config_version,
        applied_version=row.applied_version,
        was_applied=row.applied_at is not None,
        is_enabled=row.is_enabled,
        paused_by=row.paused_by,
        breaker_reason=memory.breaker_reason if is_open else "",
        backoff_until=memory.backoff_until,
        backoff_message=memory.backoff_message,
        retry_at=row.retry_at,
        hold=row.hold,
    )


def read(world: World, group_id: str) -> AnyRow | None:
    """Read a group's row as it is now."""
    with world.database.read() as connection:
        return connection.execute(
            select(worker_groups).where(worker_groups.c.id == group_id)
        ).first()


def place_of(world: World, stack: str) -> Place | None:
    """Say where the group of a stack is; None for a stack of no group."""
    with world.database.read() as connection:
        row = connection.execute(
            select(worker_groups.c.cloud, worker_groups.c.region).where(
                worker_groups.c.stack == stack
            )
        ).first()
    return None if row is None else Place(row.cloud, row.region)


def reason_of(world: World, decision_id: str | None) -> str:
    """Give the sentence of the decision that a run carries out."""
    if decision_id is None:
        return "Apply the group's configuration."
    with world.database.read() as connection:
        found = connection.execute(
            select(scaling_decisions.c.reason).where(scaling_decisions.c.id == decision_id)
        ).scalar()
    return found or ""


def live_count(world: World, group_id: str) -> int:
    """Count the machines of the cloud's last list that are not on their way out."""
    with world.database.read() as connection:
        return len(
            connection.execute(
                select(machines.c.id).where(
                    machines.c.group_id == group_id,
                    machines.c.gone_at.is_(None),
                    machines.c.end_sent_at.is_(None),
                )
            ).all()
        )


def record_hold(world: World, group_id: str, sentence: str, retry_at: datetime) -> None:
    """Say why the newest size waits, and until when."""
    _set(world, group_id, hold=sentence, retry_at=retry_at)


def record_found(world: World, lease: Lease, group_id: str, size: int, now: datetime) -> bool:
    """Record that the cloud's group has the size already: no run is needed. False when fenced."""

    def work(connection: Connection) -> bool:
        held = connection.execute(select(stack_leases.c.fence).where(*held_by(lease))).first()
        if held is None:
            return False
        _update(connection, group_id, applied=size, applied_at=now, hold="", retry_at=None)
        return True

    return world.database.write(work)


@dataclass(frozen=True, slots=True)
class Carried:
    """What a run was asked to do, for the record of how it ended."""

    run_id: str
    group: AnyRow
    size: int
    dice: float  # 0 to 1, spreads the next try


def record_end(
    world: World, lease: Lease, carried: Carried, result: StackResult, now: datetime
) -> bool:
    """Record how a run ended, and what the group learned; False when fenced: nothing is written."""

    def work(connection: Connection) -> bool:
        if not stack_runs.end(connection, lease, carried.run_id, result, now):
            return False
        row = connection.execute(
            select(worker_groups).where(worker_groups.c.id == carried.group.id)
        ).one()
        _update(connection, row.id, **_learned(row, carried, result, now))
        kind, policy = result.failure, policy_of(row)
        if kind is not None:
            group_memory.change(
                connection,
                row.id,
                lambda memory: memories.remember_failure(memory, policy, kind, result.error, now),
            )
        return True

    return world.database.write(work)


def _learned(row: AnyRow, carried: Carried, result: StackResult, now: datetime) -> dict[str, Any]:
    if result.outcome == "succeeded":
        return {
            "applied": carried.size,
            "applied_at": now,
            "applied_version": carried.group.config_version,
            "hold": "",
            "retry_at": None,
            "run_failures": 0,
        }
    is_unknown = result.outcome in ("failed", "timed-out") and result.failure is None
    failures = row.run_failures + 1 if is_unknown else row.run_failures
    pause = rules.retry_after(result, failures, carried.dice)
    return {
        "hold": result.error,
        "retry_at": now + pause if pause is not None else None,
        "run_failures": failures,
    }


def record_resource(world: World, group_id: str, resource: str) -> None:
    """Keep the name of the cloud's group, from its stack's outputs."""
    _set(world, group_id, resource=resource)


def _set(world: World, group_id: str, **values: Any) -> None:
    world.database.write(lambda connection: _update(connection, group_id, **values))


def _update(connection: Connection, group_id: str, **values: Any) -> None:
    connection.execute(update(worker_groups).where(worker_groups.c.id == group_id).values(**values))


def record_hold_of_stack(world: World, stack: str, sentence: str, retry_at: datetime) -> None:
    """Like `record_hold`, by stack."""
    world.database.write(
        lambda connection: (
            connection.execute(
                update(worker_groups)
                .where(worker_groups.c.stack == stack)
                .values(hold=sentence, retry_at=retry_at)
            )
            and None
        )
    )
