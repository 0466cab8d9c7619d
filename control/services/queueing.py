"""Between the database, which is the truth, and the queue, which holds ids (decision 2)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import structlog
from sqlalchemy import Connection, func, select

from control.database.rows import AnyRow
from control.database.tables.environments import environments
from control.database.tables.executions import executions
from control.domain.errors import TemporaryError
from control.domain.placement import Circumstances, Placement, place
from control.domain.ports import QueueEntry
from control.domain.states import HELD, Status
from control.domain.worker_groups import CLOUDS
from control.services import outlooks, transitions, wakeups, workers
from control.services.world import World

log = structlog.get_logger()


def entry_of(row: AnyRow) -> QueueEntry:
    """The queue entry of an execution row."""
    return QueueEntry(row.id, row.environment_id, row.priority, row.queued_at or row.ctime)


def push(world: World, entries: Sequence[QueueEntry]) -> None:
    """Push what the database holds as queued; a queue that is away is healed by the reaper."""
    if not entries:
        return
    try:
        world.queue.push(entries)
    except TemporaryError as error:
        log.warning("queue_unreachable", entries=len(entries), error=error.message)


def with_wake_up(entries: Sequence[QueueEntry], kinds: Collection[str]) -> list[QueueEntry]:
    """Add the planner's wake-up where worker groups serve: environments of a cloud's kind."""
    wakes = [wakeups.note(wakeups.PLAN, entries[0].queued_at)] if entries else []
    return [*entries, *(wakes if any(kind in CLOUDS for kind in kinds) else [])]


def requeue(world: World, execution_ids: Iterable[str]) -> int:
    """Push those of the executions that are queued; how many there were."""
    with world.database.read() as connection:
        rows = connection.execute(
            select(
                executions.c.id,
                executions.c.environment_id,
                executions.c.priority,
                executions.c.queued_at,
                executions.c.ctime,
                environments.c.kind,
            )
            .join(environments, environments.c.id == executions.c.environment_id)
            .where(executions.c.id.in_(list(execution_ids)), executions.c.status == Status.QUEUED)
        ).all()
    push(world, with_wake_up([entry_of(row) for row in rows], {row.kind for row in rows}))
    return len(rows)


def discard(world: World, environment_id: str, execution_ids: Iterable[str]) -> None:
    """Take executions out of the queue; one that stays costs its taker a look, nothing more."""
    try:
        world.queue.discard(environment_id, list(execution_ids))
    except TemporaryError as error:
        log.info("queue_unreachable", error=error.message)


def announce(world: World, project_id: str, execution_id: str) -> None:
    """Tell open pages that an execution changed; nobody has to be there."""
    try:
        world.queue.publish(f"execution:{execution_id}", "changed")
        world.queue.publish(f"project:{project_id}", execution_id)
    except TemporaryError as error:
        log.info("queue_unreachable", error=error.message)


def announce_project(world: World, project_id: str) -> None:
    """Tell a project's open lists that executions were added."""
    try:
        world.queue.publish(f"project:{project_id}", "")
    except TemporaryError as error:
        log.info("queue_unreachable", error=error.message)


def announce_environment(world: World, environment_id: str) -> None:
    """Tell an environment's open pages that its machines, decisions or runs changed."""
    try:
        world.queue.publish(f"environment:{environment_id}", "changed")
    except TemporaryError as error:
        log.info("queue_unreachable", error=error.message)


def forget_tail(world: World, execution_id: str, ttl_s: int) -> None:
    """Let the live tail go: the log is stored."""
    try:
        world.queue.drop_tail(execution_id, ttl_s=ttl_s)
    except TemporaryError as error:
        log.info("queue_unreachable", error=error.message)


def circumstances(
    connection: Connection, environment: AnyRow, creator_id: int, now: datetime
) -> Circumstances:
    """Read what a placement looks at; place and depth in the queue are the caller's to add."""
    counts = workers.count_for(connection, environment.id, now)
    return Circumstances(
        environment=environment.name,
        is_enabled=environment.is_enabled,
        owner_quota=environment.per_user_queue_quota,
        owner_active=active_of(connection, environment, creator_id),
        workers_live=counts.live,
        workers_suspect=counts.suspect,
        workers_busy=counts.busy,
        outlook=outlooks.words(connection, environment.id, now)
        if environment.kind in CLOUDS
        else "",
    )


def active_of(connection: Connection, environment: AnyRow, creator_id: int) -> int:
    """Count a creator's queued and running executions where a quota asks for it."""
    if environment.per_user_queue_quota <= 0:
        return 0
    return int(
        connection.execute(
            select(func.count()).where(
                executions.c.environment_id == environment.id,
                executions.c.status.in_([Status.QUEUED, *HELD]),
                executions.c.creator_id == creator_id,
            )
        ).scalar_one()
    )


def admit_held(world: World, environment_id: str, now: datetime, *, limit: int = 100) -> int:
    """Queue held executions that may start now, oldest first; how many were queued."""
    with world.database.read() as connection:
        held = connection.execute(
            select(executions)
            .where(
                executions.c.environment_id == environment_id,
                executions.c.status == Status.CREATED,
            )
            .order_by(executions.c.id)
            .limit(limit)
        ).all()
    if not held:
        return 0

    def work(connection: Connection) -> list[QueueEntry]:
        environment = connection.execute(
            select(environments).where(environments.c.id == environment_id)
        ).one()
        admitted: list[QueueEntry] = []
        for row in held:
            decision = decide(connection, environment, row.creator_id)
            if decision.status is not Status.QUEUED:
                continue
            values = {"queued_at": now, "phase": "queued"}
            if transitions.change_status(connection, row, Status.QUEUED, now, **values):
                transitions.record_decision(connection, "admit", row.id, decision.reason, now)
                admitted.append(QueueEntry(row.id, environment_id, row.priority, now))
        return with_wake_up(admitted, {environment.kind})

    entries = world.database.write(work)
    push(world, entries)
    return sum(1 for one in entries if one.queue == environment_id)


def decide(connection: Connection, environment: AnyRow, creator_id: int) -> Placement:
    """Place one more execution; workers and position do not change the decision itself."""
    return place(
        Circumstances(
            environment=environment.name,
            is_enabled=environment.is_enabled,
            owner_quota=environment.per_user_queue_quota,
            owner_active=active_of(connection, environment, creator_id),
            workers_live=0,
            workers_suspect=0,
            workers_busy=0,
        )
    )
