"""Workers: how a machine joins an environment, proves that it lives, and leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from agent import wire
from control.database.ids import hash_secret, new_secret
from control.database.rows import AnyRow
from control.database.tables.environments import enrolment_tokens, environments, workers
from control.database.tables.executions import attempts, executions
from control.domain.errors import Invalid, NotFound, Unauthenticated
from control.domain.reaping import GONE_AFTER, is_suspect
from control.services import joining
from control.services.world import World

ENROLMENT_LIFE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker as people see it. `status` is live, suspect, draining or left."""

    row: AnyRow
    status: str
    executions: tuple[AnyRow, ...]  # id, project_id, counter, step, phase of what it runs


def make_enrolment_token(world: World, environment: str, now: datetime) -> str:
    """Make a token with which one machine can join the environment within 24 hours."""
    secret = new_secret("tke_")

    def work(connection: Connection) -> None:
        row = connection.execute(
            select(environments.c.id).where(
                (environments.c.slug == environment) | (environments.c.id == environment)
            )
        ).first()
        if row is None:
            raise NotFound(f"No environment with id or slug '{environment}'.")
        connection.execute(
            insert(enrolment_tokens).values(
                hash=hash_secret(secret),
                environment_id=row.id,
                ctime=now,
                expires_at=now + ENROLMENT_LIFE,
            )
        )

    world.database.write(work)
    return secret


def join(world: World, request: wire.Join, now: datetime) -> wire.Joined:
    """Use up an enrolment token, or take a cloud's word, and make the machine a worker."""
    if request.protocol != wire.PROTOCOL:
        raise Invalid.one(
            "protocol",
            f"This agent speaks protocol {request.protocol}, the control service "
            f"{wire.PROTOCOL}: install the agent's release of this control service.",
        )
    if request.instance_identity is not None:
        return joining.join(world, request, now)
    secret = new_secret("tka_")

    def work(connection: Connection) -> wire.Joined:
        used = connection.execute(
            update(enrolment_tokens)
            .where(
                enrolment_tokens.c.hash == hash_secret(request.enrolment_token),
                enrolment_tokens.c.used_at.is_(None),
                enrolment_tokens.c.expires_at > now,
            )
            .values(used_at=now)
            .returning(enrolment_tokens.c.environment_id)
        ).first()
        if used is None:
            raise Unauthenticated(
                "The enrolment token is unknown, used or expired: make a new one with "
                "`talkoot admin enrol ENVIRONMENT`."
            )
        place = joining.Place(used.environment_id, slots_of(request.facts))
        return joining.admit(connection, request, place, secret, now)

    return world.database.write(work)


def slots_of(facts: Mapping[str, Any]) -> int:
    """How many executions a machine runs at a time, as its agent says; 1 when it does not say."""
    slots = facts.get("slots")
    return min(slots, 1024) if isinstance(slots, int) and slots > 0 else 1


def authenticate(world: World, token: str) -> AnyRow:
    """Find the worker of an agent token. Raises Unauthenticated."""
    with world.database.read() as connection:
        row = connection.execute(
            select(workers).where(workers.c.token_hash == hash_secret(token))
        ).first()
    if row is None:
        raise Unauthenticated("This agent is not known here: enrol it again.")
    return row


def leave(world: World, worker: AnyRow, now: datetime) -> None:
    """Record that a worker has gone on its own will; leases of what it still held end now.

    Leaving is the last thing an agent does, so nothing of it runs any more: the reaper need not
    wait for what was claimed in the instant of leaving.
    """
    world.database.write(lambda connection: joining.dismiss(connection, worker.id, now))


def list_for(world: World, environment_id: str, now: datetime) -> Sequence[WorkerView]:
    """List the workers of an environment that were seen lately, newest first."""
    with world.database.read() as connection:
        rows = connection.execute(
            select(workers)
            .where(
                workers.c.environment_id == environment_id,
                workers.c.last_seen_at > now - GONE_AFTER,
            )
            .order_by(workers.c.joined_at.desc())
            .limit(1000)
        ).all()
        held = connection.execute(
            select(
                attempts.c.worker_id,
                executions.c.id,
                executions.c.project_id,
                executions.c.counter,
                executions.c.step,
                executions.c.phase,
            )
            .join(executions, executions.c.attempt_id == attempts.c.id)
            .where(
                attempts.c.ended_at.is_(None),
                attempts.c.worker_id.in_([row.id for row in rows]),
            )
        ).all()
    return [
        WorkerView(
            row,
            status_of(row, now),
            tuple(one for one in held if one.worker_id == row.id),
        )
        for row in rows
    ]


def status_of(row: AnyRow, now: datetime) -> str:
    """Say live, suspect, draining or left."""
    if row.status == "left":
        return "left"
    if is_suspect(row.last_seen_at, now):
        return "suspect"
    return str(row.status)


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """Workers of one environment by what they are worth now."""

    live: int
    suspect: int
    busy: int  # those without a free slot


def count_for(connection: Connection, environment_id: str, now: datetime) -> WorkerCounts:
    """Count the workers that have not left."""
    rows = connection.execute(
        select(workers.c.status, workers.c.last_seen_at).where(
            workers.c.environment_id == environment_id,
            workers.c.status != "left",
            workers.c.last_seen_at > now - GONE_AFTER,
        )
    ).all()
    suspect = sum(1 for row in rows if is_suspect(row.last_seen_at, now))
    full = (
        select(workers.c.id)
        .join(attempts, workers.c.id == attempts.c.worker_id)
        .where(attempts.c.ended_at.is_(None), workers.c.environment_id == environment_id)
        .group_by(workers.c.id, workers.c.slots)
        .having(func.count() >= workers.c.slots)
    ).subquery()
    busy = connection.execute(select(func.count()).select_from(full)).scalar_one()
    return WorkerCounts(live=len(rows) - suspect, suspect=suspect, busy=int(busy))
