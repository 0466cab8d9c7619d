"""What the loops put right: silent agents, lost queue entries, logs that wait for the store."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, func, select

from control.database.rows import AnyRow
from control.database.tables.environments import environments, workers
from control.database.tables.executions import attempts, execution_counts, executions
from control.domain.errors import PermanentError, TemporaryError
from control.domain.reaping import HeldAttempt, Verdict, judge
from control.domain.retry import RetryPolicy
from control.domain.states import Status
from control.services import logs, queueing, transitions
from control.services.world import World

log = structlog.get_logger()

_QUEUED_COUNTS = (
    select(execution_counts.c.environment_id, func.sum(execution_counts.c.count))
    .where(execution_counts.c.status == Status.QUEUED)
    .group_by(execution_counts.c.environment_id)
)
BATCH = 200
"""Rows a tick looks at: a tick is short, the next one goes on."""
QUEUE_GRACE = timedelta(seconds=5)
"""A row queued more recently may still be on its way into the queue."""


def reap(world: World, now: datetime) -> int:
    """Fence attempts whose lease has ended; how many were fenced."""
    with world.database.read() as connection:
        rows = connection.execute(
            select(
                executions,
                attempts.c.number,
                attempts.c.lease_until,
                workers.c.name.label("worker"),
                environments.c.platform_retries,
            )
            .join(executions, executions.c.id == attempts.c.execution_id)
            .join(workers, workers.c.id == attempts.c.worker_id)
            .join(environments, environments.c.id == executions.c.environment_id)
            .where(attempts.c.ended_at.is_(None), attempts.c.lease_until <= now)
            .where(executions.c.attempt_id == attempts.c.id)
            .order_by(attempts.c.lease_until)
            .limit(BATCH)
        ).all()
    return sum(_reap_one(world, row, now) for row in rows)


def _reap_one(world: World, row: AnyRow, now: datetime) -> bool:
    with world.database.read() as connection:
        reclaimed = transitions.reclaims_of(connection, row.id)
    is_stopping = row.status == Status.STOPPING
    held = HeldAttempt(row.number, row.lease_until, row.worker, is_stopping, reclaimed)
    verdict = judge(held, policy=RetryPolicy(row.platform_retries), now=now)
    if verdict.status is None:
        return False
    if not world.database.write(lambda connection: _fence(connection, row, verdict, now)):
        return False
    log.info("attempt_fenced", execution=row.id, attempt=row.number, reason=verdict.sentence)
    _close_log(world, row.id, verdict.sentence, now)
    if verdict.status is Status.QUEUED:
        queueing.requeue(world, [row.id])
    else:
        queueing.forget_tail(world, row.id, logs.TAIL_LIFE_S)
    queueing.admit_held(world, row.environment_id, now)
    queueing.announce(world, row.project_id, row.id)
    return True


def _fence(connection: Connection, row: AnyRow, verdict: Verdict, now: datetime) -> bool:
    assert verdict.status is not None
    still = connection.execute(
        select(attempts.c.id).where(
            attempts.c.id == row.attempt_id,
            attempts.c.ended_at.is_(None),
            attempts.c.lease_until <= now,
        )
    ).first()
    if still is None:
        return False
    values: dict[str, Any] = {"reason": verdict.reason, "sentence": verdict.sentence}
    if verdict.status is Status.QUEUED:
        values |= {"attempt_id": None, "queued_at": now, "phase": "queued"}
    if not transitions.change_status(connection, row, verdict.status, now, **values):
        return False
    transitions.end_attempt(
        connection, row.attempt_id, outcome="crashed", reason="worker_lost", now=now
    )
    transitions.record_decision(connection, "reap", row.id, verdict.sentence, now)
    return True


def _close_log(world: World, execution_id: str, sentence: str, now: datetime) -> None:
    """Store what arrived of the lost attempt's log and say where it broke off."""
    try:
        logs.flush(world, execution_id)
        logs.append_own(world, execution_id, [sentence], now)
    except (TemporaryError, PermanentError) as error:
        log.warning("log_not_stored", execution=execution_id, error=error.message)


def heal_queue(world: World, now: datetime) -> int:
    """Push what the database holds as queued and the queue does not; how many (Q-3)."""
    pushed = 0
    with world.database.read() as connection:
        ids = connection.scalars(select(environments.c.id)).all()
        counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(_QUEUED_COUNTS)}
    for environment_id in ids:
        if world.queue.depth(environment_id) >= counts.get(environment_id, 0):
            continue  # nothing is missing, so nothing is listed
        with world.database.read() as connection:
            rows = connection.execute(
                select(
                    executions.c.id,
                    executions.c.environment_id,
                    executions.c.priority,
                    executions.c.queued_at,
                    executions.c.ctime,
                ).where(
                    executions.c.environment_id == environment_id,
                    executions.c.status == Status.QUEUED,
                    executions.c.queued_at <= now - QUEUE_GRACE,
                )
            ).all()
        if not rows or world.queue.depth(environment_id) >= len(rows):
            continue
        waiting = world.queue.members(environment_id)
        missing = [queueing.entry_of(row) for row in rows if row.id not in waiting]
        if missing:
            world.queue.push(missing)
            log.info("queue_healed", environment=environment_id, entries=len(missing))
            pushed += len(missing)
    return pushed


def admit(world: World, now: datetime) -> int:
    """Queue held executions of every environment that may start now."""
    with world.database.read() as connection:
        ids = connection.scalars(
            select(executions.c.environment_id)
            .where(executions.c.status == Status.CREATED)
            .distinct()
        ).all()
    return sum(queueing.admit_held(world, one, now) for one in ids)


def store_logs(world: World) -> int:
    """Move received log lines to the store; how many executions had some."""
    with world.database.read() as connection:
        ids = connection.scalars(
            select(executions.c.id)
            .where(executions.c.log_received > executions.c.log_stored)
            .limit(BATCH)
        ).all()
    for execution_id in ids:
        logs.flush(world, execution_id)
    return len(ids)
