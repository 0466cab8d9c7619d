"""What an execution that waits for a worker group may expect, in the words of the decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from control.database.ids import first_id
from control.database.rows import AnyRow
from control.database.tables.executions import attempts, execution_counts, executions
from control.database.tables.worker_groups import machines, scaling_decisions, worker_groups
from control.domain.scaling.outlook import expected_rate, outlook
from control.domain.scaling.state import MachineState
from control.domain.states import HELD, Status

RECENT = timedelta(hours=1)
RECENT_MOST = 100
"""The executions whose durations say how long the next ones take."""


def words(connection: Connection, environment_id: str, now: datetime) -> str:
    """Say what comes next for what waits on an environment that worker groups serve."""
    groups = connection.execute(
        select(worker_groups, scaling_decisions.c.reason, scaling_decisions.c.blocked_by)
        .outerjoin(scaling_decisions, scaling_decisions.c.id == worker_groups.c.decision_id)
        .where(worker_groups.c.environment_id == environment_id)
        .order_by(worker_groups.c.rank)
    ).all()
    on = [row for row in groups if row.is_enabled]
    if not on:
        return "nothing fits: no worker group is switched on for it"
    counts = _counts(connection, environment_id)
    starting = _starting(connection, on)
    rate = expected_rate(
        busy_slots=sum(counts.get(status, 0) for status in HELD),
        starting_slots=sum(starting[row.id] * row.slots for row in on),
        mean_duration_s=_mean_duration_s(connection, environment_id, now),
    )
    said = outlook(
        starting=sum(starting.values()),
        waiting=counts.get(Status.QUEUED, 0),
        per_minute=rate,
        reason=" ".join(row.reason for row in on if row.blocked_by),
    )
    holds = [row.hold.rstrip(".") for row in on if row.hold and row.wanted > row.applied]
    return "; ".join([said, *holds])


def _counts(connection: Connection, environment_id: str) -> dict[str, int]:
    rows = connection.execute(
        select(execution_counts.c.status, func.sum(execution_counts.c.count))
        .where(execution_counts.c.environment_id == environment_id)
        .group_by(execution_counts.c.status)
    )
    return {row[0]: int(row[1]) for row in rows}


def _starting(connection: Connection, groups: Sequence[AnyRow]) -> dict[str, int]:
    """Count machines that boot or were asked for, by group."""
    rows = connection.execute(
        select(machines.c.group_id, machines.c.state, func.count().label("number"))
        .where(
            machines.c.group_id.in_([row.id for row in groups]),
            machines.c.gone_at.is_(None),
            machines.c.end_sent_at.is_(None),
        )
        .group_by(machines.c.group_id, machines.c.state)
    ).all()
    live, boots = dict.fromkeys((row.id for row in groups), 0), dict[str, int]()
    for row in rows:
        live[row.group_id] += row.number
        if row.state == MachineState.LAUNCHING:
            boots[row.group_id] = row.number
    return {row.id: max(0, row.wanted - live[row.id]) + boots.get(row.id, 0) for row in groups}


def _mean_duration_s(connection: Connection, environment_id: str, now: datetime) -> float | None:
    """Average the newest attempts that ended; their ids order them, so nothing is searched."""
    rows = connection.execute(
        select(attempts.c.started_at, attempts.c.ended_at)
        .join(executions, executions.c.id == attempts.c.execution_id)
        .where(
            attempts.c.id >= first_id(now - RECENT),
            attempts.c.ended_at.is_not(None),
            executions.c.environment_id == environment_id,
        )
        .order_by(attempts.c.id.desc())
        .limit(RECENT_MOST)
    ).all()
    took = [(row.ended_at - row.started_at).total_seconds() for row in rows]
    return sum(took) / len(took) if took else None
