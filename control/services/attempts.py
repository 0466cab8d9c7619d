"""What the agent that holds an execution reports, each write fenced by its claim token."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, case, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from agent import wire
from control.database.ids import hash_secret
from control.database.rows import AnyRow
from control.database.tables.environments import environments, workers
from control.database.tables.executions import attempts, executions, metadata_points, phases
from control.domain.errors import Fenced, Invalid, LogGap
from control.domain.ports import TailBlock
from control.domain.retry import RetryPolicy, decide_retry
from control.domain.states import HELD, REASONS, Status
from control.services import drains, logs, machine_orders, outputs, queueing, transitions
from control.services.world import World

_HOLDING = (
    select(
        attempts.c.id.label("attempt_id"),
        attempts.c.number,
        attempts.c.worker_id,
        attempts.c.lease_until,
        attempts.c.ended_at,
        attempts.c.outcome,
        executions.c.id.label("execution_id"),
        executions.c.project_id,
        executions.c.environment_id,
        executions.c.attempt_id.label("current_attempt_id"),
        executions.c.status,
        executions.c.stop_count,
        executions.c.stop_requested_by,
        executions.c.log_received,
        executions.c.log_stored,
        executions.c.log_unstored_bytes,
        executions.c.cumulative_metadata,
        environments.c.lease_s,
        environments.c.heartbeat_s,
        environments.c.platform_retries,
    )
    .join(executions, executions.c.id == attempts.c.execution_id)
    .join(environments, environments.c.id == executions.c.environment_id)
)
_BY_TOKEN = _HOLDING.where(attempts.c.token_hash == bindparam("hash"))


def find(world: World, claim_token: str, *, ended_too: bool = False) -> AnyRow:
    """Find the attempt of a claim token. Raises Fenced unless it holds its execution."""
    with world.database.read() as connection:
        row = connection.execute(_BY_TOKEN, {"hash": hash_secret(claim_token)}).first()
    if row is None or not (ended_too or _holds(row)):
        raise Fenced
    return row


def _holds(row: AnyRow) -> bool:
    return (
        row.ended_at is None
        and row.current_attempt_id == row.attempt_id
        and Status(row.status) in HELD
    )


def order_for(row: AnyRow) -> tuple[str, str]:
    """The action an agent must take, and the sentence that says why."""
    if not _holds(row):
        return "fenced", "This attempt has ended."
    if row.status == Status.STOPPING:
        action = "stop_now" if row.stop_count > 1 else "stop"
        return action, f"Stop requested by {row.stop_requested_by or 'Talkoot'}."
    return "continue", ""


def receipt(row: AnyRow) -> wire.Receipt:
    """Answer a report."""
    action, reason = order_for(row)
    return wire.Receipt(action, reason)


# -- heartbeats --------------------------------------------------------------------------------
def beat(world: World, worker: AnyRow, message: wire.Heartbeat, now: datetime) -> wire.Orders:
    """Record that a worker lives and extend the lease of what it holds."""
    hashes = {hash_secret(one.claim_token): one.attempt_id for one in message.attempts}

    def work(connection: Connection) -> tuple[AnyRow, list[AnyRow]]:
        asked = connection.execute(_beat_of(worker, message, now)).one()
        if not hashes:
            return asked, []
        rows = connection.execute(_HOLDING.where(attempts.c.token_hash.in_(list(hashes)))).all()
        for row in rows:
            if _holds(row):
                connection.execute(
                    update(attempts)
                    .where(attempts.c.id == row.attempt_id, attempts.c.ended_at.is_(None))
                    .values(lease_until=now + timedelta(seconds=row.lease_s))
                )
        return asked, list(rows)

    asked, rows = world.database.write(work)
    known = {row.attempt_id: row for row in rows}
    orders: list[wire.Order] = []
    for beat_ in message.attempts:
        row = known.get(beat_.attempt_id)
        action, reason = order_for(row) if row is not None else ("fenced", "Unknown attempt.")
        lease_s = float(row.lease_s) if row is not None else 0.0
        orders.append(wire.Order(beat_.attempt_id, action, reason, lease_s))
    heartbeat_s = float(rows[0].heartbeat_s) if rows else _heartbeat_s(world, worker)
    machine = machine_orders.hear(world, worker, message, now)
    return wire.Orders(
        tuple(orders),
        heartbeat_s,
        keep_alive_s=machine.keep_alive_s,
        wanted_version=machine.wanted_version,
        should_drain=asked.drain_requested_at is not None,
        drain_epoch=asked.drain_epoch,
    )


def _beat_of(worker: AnyRow, message: wire.Heartbeat, now: datetime) -> Any:
    """A drain that was asked for stays: the agent's word is only its acknowledgement."""
    is_asked = workers.c.drain_requested_at.is_not(None)
    is_held = workers.c.drain_cause == drains.HOLD  # for a moment: it does not leave
    is_leaving = literal(message.is_draining) | is_asked
    status = case((is_held, "live"), (is_leaving, "draining"), else_="live")
    return (
        update(workers)
        .where(workers.c.id == worker.id)
        .values(
            last_seen_at=now,
            status=status,
            facts=message.facts or worker.facts,
            left_at=None,
            drain_ack_epoch=message.drain_epoch,
        )
        .returning(workers.c.drain_requested_at, workers.c.drain_epoch)
    )


def _heartbeat_s(world: World, worker: AnyRow) -> float:
    with world.database.read() as connection:
        return float(
            connection.execute(
                select(environments.c.heartbeat_s).where(environments.c.id == worker.environment_id)
            ).scalar_one()
        )


# -- reports -----------------------------------------------------------------------------------
def report_phases(
    world: World, row: AnyRow, reports: Sequence[wire.PhaseReport], now: datetime
) -> wire.Receipt:
    """Record that phases began, moved or ended, oldest first; a phase's newest report wins."""
    for report in reports:
        if report.name not in wire.PHASES or report.state not in ("started", "progress", "ended"):
            raise Invalid.one("name", f"No phase '{report.name}' with state '{report.state}'.")
    began = [report.name for report in reports if report.state == "started"]

    def work(connection: Connection) -> None:
        for report in reports:
            _upsert_phase(connection, row, report, _time(report.at, now))
        if began:
            connection.execute(
                update(executions)
                .where(
                    executions.c.id == row.execution_id,
                    executions.c.attempt_id == row.attempt_id,
                )
                .values(phase=began[-1], mtime=now)
            )

    world.database.write(work)
    queueing.announce(world, row.project_id, row.execution_id)
    return receipt(row)


def _upsert_phase(
    connection: Connection, row: AnyRow, report: wire.PhaseReport, at: datetime
) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    ended_at = at if report.state == "ended" else None
    moved = {"done": report.done, "total": report.total, "unit": report.unit}
    change = {**moved, "ended_at": ended_at} if ended_at else moved
    if report.state == "ended" and not report.unit:
        change = {"ended_at": ended_at}
    connection.execute(
        dialect.insert(phases)
        .values(
            execution_id=row.execution_id,
            attempt_number=row.number,
            name=report.name,
            started_at=at,
            ended_at=ended_at,
            **moved,
        )
        .on_conflict_do_update(
            index_elements=["execution_id", "attempt_number", "name"], set_=change
        )
    )


def append_log(world: World, row: AnyRow, block: TailBlock) -> wire.LogReceipt:
    """Take a log block and say what the agent must do."""
    answer = logs.append(world, row, block)
    action, reason = order_for(row)
    return wire.LogReceipt(answer.received, answer.stored, action, reason)


def report_metadata(
    world: World, row: AnyRow, points: Sequence[wire.MetadataPoint], now: datetime
) -> wire.Receipt:
    """Keep metadata points; one reported twice (same line number) is kept once."""

    def work(connection: Connection) -> None:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        last: dict[str, Any] = dict(
            connection.execute(
                select(executions.c.cumulative_metadata).where(executions.c.id == row.execution_id)
            ).scalar()
            or {}
        )
        for point in points:
            last.update(point.values)
            connection.execute(
                dialect.insert(metadata_points)
                .values(
                    execution_id=row.execution_id,
                    number=point.number,
                    time=_time(point.time, now),
                    values=point.values,
                )
                .on_conflict_do_nothing(index_elements=["execution_id", "number"])
            )
        connection.execute(
            update(executions)
            .where(executions.c.id == row.execution_id, executions.c.attempt_id == row.attempt_id)
            .values(cumulative_metadata=last, mtime=now)
        )

    if points:
        world.database.write(work)
        queueing.announce(world, row.project_id, row.execution_id)
    return receipt(row)


def set_status_detail(world: World, row: AnyRow, text: str, now: datetime) -> wire.Receipt:
    """Keep what the step says of itself."""
    world.database.write(
        lambda connection: (
            connection.execute(
                update(executions)
                .where(
                    executions.c.id == row.execution_id, executions.c.attempt_id == row.attempt_id
                )
                .values(status_detail=text[:1000], mtime=now)
            )
            and None
        )
    )
    queueing.announce(world, row.project_id, row.execution_id)
    return receipt(row)


# -- outputs -----------------------------------------------------------------------------------
def offer_outputs(
    world: World, row: AnyRow, files: Sequence[wire.OutputFile], now: datetime
) -> list[wire.Upload]:
    """Promise a datum for each file and sign where its bytes go."""
    return outputs.promise(world, row, files, now)


def output_stored(
    world: World, row: AnyRow, datum_id: str, message: wire.OutputStored, now: datetime
) -> wire.Receipt:
    """Make a promised datum real."""
    outputs.confirm(world, row, datum_id, message.metadata, now)
    queueing.announce(world, row.project_id, row.execution_id)
    return receipt(row)


# -- the end -----------------------------------------------------------------------------------
def finish(world: World, row: AnyRow, message: wire.Finish, now: datetime) -> wire.Receipt:
    """End an attempt: its whole log is stored first, then the status is written.

    Raises LogGap while lines are missing. The same message again gets the same answer.
    """
    if row.ended_at is not None:
        return wire.Receipt()
    if row.log_received < message.log_last:
        raise LogGap(row.log_received + 1)
    stored = logs.flush(world, row.execution_id)
    if stored < message.log_last:
        raise LogGap(stored + 1)
    to, sentence = _ending(world, row, message)

    def work(connection: Connection) -> bool:
        current = connection.execute(
            select(executions).where(executions.c.id == row.execution_id)
        ).one()
        if current.attempt_id != row.attempt_id:
            return False
        values: dict[str, Any] = {"reason": message.reason, "sentence": sentence}
        if to is Status.QUEUED:
            values |= {"attempt_id": None, "queued_at": now, "phase": "queued"}
        else:
            values |= {
                "exit_code": message.exit_code,
                "failing_item": message.failing_item,
                "image_digest": message.image_digest,
            }
        if not transitions.change_status(connection, current, to, now, **values):
            return False
        transitions.end_attempt(
            connection, row.attempt_id, outcome=message.outcome, reason=message.reason, now=now
        )
        return True

    if not world.database.write(work):
        raise Fenced
    if to is Status.QUEUED:
        queueing.requeue(world, [row.execution_id])
    else:
        queueing.forget_tail(world, row.execution_id, logs.TAIL_LIFE_S)
    queueing.admit_held(world, row.environment_id, now)
    queueing.announce(world, row.project_id, row.execution_id)
    return wire.Receipt()


def _ending(world: World, row: AnyRow, message: wire.Finish) -> tuple[Status, str]:
    known = REASONS.get(message.reason)
    if known is None:
        raise Invalid.one("reason", f"No reason '{message.reason}'.")
    sentence = message.sentence or known.sentence
    if row.status == Status.STOPPING:
        return (Status.STOPPED if known.is_retryable else Status(message.outcome)), sentence
    if message.outcome == Status.CRASHED and known.is_retryable:
        with world.database.read() as connection:
            reclaimed = transitions.reclaims_of(connection, row.execution_id)
        retry = decide_retry(
            RetryPolicy(row.platform_retries),
            reason=message.reason,
            attempt_number=row.number,
            reclaimed=reclaimed,
        )
        sentence = f"{sentence} {retry.reason[0].upper()}{retry.reason[1:]}"
        if retry.again:
            return Status.QUEUED, sentence
    return Status(message.outcome), sentence


def _time(text: str, default: datetime) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return default
