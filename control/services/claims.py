"""A claim: one guarded UPDATE decides which agent runs a queued execution (Q-1)."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from agent import wire
from control.database.ids import hash_secret, new_id, new_secret
from control.database.rows import AnyRow
from control.database.tables.environments import environments, workers
from control.database.tables.executions import attempts, executions
from control.database.tables.people import users
from control.database.tables.projects import commits, project_variables, projects
from control.domain.states import Status
from control.services import transitions
from control.services.world import World

DOWNLOAD_TTL_S = 3600
"""An agent that needs longer asks for fresh addresses (AG-9)."""

_COMMIT = (
    commits.c.identifier.label("commit_identifier"),
    commits.c.archive_key,
    commits.c.archive_sha256,
    commits.c.archive_size_bytes,
)
_ENVIRONMENT = (
    environments.c.slug.label("environment_slug"),
    environments.c.name.label("environment_name"),
    environments.c.lease_s,
    environments.c.heartbeat_s,
    environments.c.stop_grace_s,
    environments.c.stop_at_first_error,
    environments.c.network,
)
_PEOPLE = (
    projects.c.name.label("project_name"),
    users.c.username.label("creator_name"),
    users.c.email.label("creator_email"),
)
_CLAIMED = (
    select(executions, *_COMMIT, *_ENVIRONMENT, *_PEOPLE, workers.c.drain_requested_at)
    .select_from(executions)
    .join(workers, workers.c.id == bindparam("worker_id"))
    .join(commits, commits.c.id == executions.c.commit_id)
    .join(environments, environments.c.id == executions.c.environment_id)
    .join(projects, projects.c.id == executions.c.project_id)
    .join(users, users.c.id == executions.c.creator_id)
    .where(executions.c.id == bindparam("execution_id"))
    # A drain takes the stronger lock (services/drains.py): it is decided before this claim or
    # sees its attempt. Heartbeats of the same worker are not held up.
    .with_for_update(read=True, key_share=True, of=workers)
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the winning transaction read."""

    row: AnyRow
    attempt_id: str
    claim_token: str
    variables: tuple[AnyRow, ...]


@dataclass(frozen=True, slots=True)
class Draining:
    """The worker is asked to drain: it gets nothing, and somebody else must have the execution."""


def submit(
    world: World, worker: AnyRow, execution_id: str, now: datetime
) -> Future[Claimed | Draining | None]:
    """Claim a queued execution for a worker; None when it is not queued any more."""
    claim_token = new_secret("tkc_")
    attempt_id = new_id(now)

    def work(connection: Connection) -> Claimed | Draining | None:
        asked = {"execution_id": execution_id, "worker_id": worker.id}
        row = connection.execute(_CLAIMED, asked).first()
        if (
            row is None
            or row.status != Status.QUEUED
            or row.environment_id != worker.environment_id
        ):
            return None
        if row.drain_requested_at is not None:
            return Draining()
        won = transitions.change_status(
            connection,
            row,
            Status.STARTED,
            now,
            attempt_id=attempt_id,
            attempt_count=row.attempt_count + 1,
            started_at=now,
            worker_name=worker.name,
            phase="code",
            reason=None,
            sentence=None,
            cumulative_metadata=None,
        )
        if not won:
            return None
        connection.execute(
            insert(attempts).values(
                id=attempt_id,
                execution_id=execution_id,
                number=row.attempt_count + 1,
                worker_id=worker.id,
                token_hash=hash_secret(claim_token),
                lease_until=now + timedelta(seconds=row.lease_s),
                log_first=row.log_received + 1,
                started_at=now,
            )
        )
        variables = (
            connection.execute(
                select(project_variables).where(project_variables.c.project_id == row.project_id)
            ).all()
            if row.inherit_env_vars
            else ()
        )
        return Claimed(row, attempt_id, claim_token, tuple(variables))

    return world.database.submit(work)


def spec_of(world: World, claimed: Claimed) -> wire.ExecutionSpec:
    """Write what the agent needs; signs addresses, makes no network call."""
    row = claimed.row
    env_vars, secrets = _variables(world, claimed)
    config: dict[str, Any] = row.runtime_config or {}
    return wire.ExecutionSpec(
        execution_id=row.id,
        attempt_id=claimed.attempt_id,
        attempt_number=row.attempt_count + 1,
        claim_token=claimed.claim_token,
        counter=row.counter,
        project_id=row.project_id,
        step=row.step,
        lease_s=float(row.lease_s),
        heartbeat_s=float(row.heartbeat_s),
        log_next=row.log_received + 1,
        code=wire.CodeSource(
            url=world.code_store.get_url(row.archive_key, ttl_s=DOWNLOAD_TTL_S),
            sha256=row.archive_sha256,
            size_bytes=row.archive_size_bytes,
        ),
        image=row.image,
        commands=tuple(row.commands),
        inputs=signed_inputs(world, row.inputs),
        parameters=row.parameters,
        env_vars=env_vars,
        secrets=secrets,
        execution_facts=_facts(row),
        runtime_config=config,
        time_limit_s=row.time_limit_s or None,
        no_output_timeout_s=row.no_output_timeout_s or None,
        stop_grace_s=float(row.stop_grace_s),
        stop_at_first_error=row.stop_at_first_error,
        network=row.network,
    )


def fresh_inputs(world: World, attempt: AnyRow) -> list[wire.InputSpec]:
    """Sign the inputs of an attempt anew."""
    with world.database.read() as connection:
        inputs = connection.execute(
            select(executions.c.inputs).where(executions.c.id == attempt.execution_id)
        ).scalar_one()
    return list(signed_inputs(world, inputs))


def signed_inputs(world: World, inputs: list[dict[str, Any]]) -> tuple[wire.InputSpec, ...]:
    """Turn stored inputs (services/inputs.py) into what an agent downloads."""
    return tuple(
        wire.InputSpec(
            name=one["name"],
            files=tuple(_signed_file(world, file) for file in one["files"]),
            input_id=one.get("input_id"),
            download=one.get("download", "always"),
        )
        for one in inputs
    )


def _signed_file(world: World, file: dict[str, Any]) -> wire.InputFile:
    url = file["uri"]
    if file.get("key"):
        url = world.store.get_url(file["key"], ttl_s=DOWNLOAD_TTL_S)
    return wire.InputFile(
        name=file["name"],
        uri=file["uri"],
        url=url,
        storage_uri=file.get("storage_uri"),
        datum_id=file.get("datum_id"),
        size_bytes=file.get("size_bytes"),
        checksums=file.get("checksums") or {},
        metadata=tuple(file.get("metadata") or ()),
    )


def _variables(world: World, claimed: Claimed) -> tuple[dict[str, str], tuple[str, ...]]:
    """Project variables below the execution's own; values of secrets apart, to be masked."""
    values: dict[str, str] = {}
    secrets: list[str] = []
    for one in claimed.variables:
        value = one.value
        if one.is_secret:
            value = world.box.open(value, purpose=f"variable:{one.project_id}:{one.name}")
            secrets.append(value)
        values[one.name] = value
    return {**values, **claimed.row.env_vars}, tuple(value for value in secrets if value)


def _facts(row: AnyRow) -> dict[str, Any]:
    """The content of execution.json (client-contract.md 4.3)."""
    qtime = (row.started_at - row.queued_at).total_seconds() if row.started_at else None
    return {
        "valohai.execution-id": row.id,
        "valohai.execution-counter": row.counter,
        "valohai.execution-title": row.title,
        "valohai.execution-step": row.step,
        "valohai.execution-image": row.image,
        "valohai.execution-status": "started",
        "valohai.execution-ctime": row.ctime.isoformat(),
        "valohai.execution-duration": None,
        "valohai.execution-qtime": qtime,
        "valohai.execution-tags": row.tags,
        "valohai.commit-identifier": row.commit_identifier,
        "valohai.creator-id": row.creator_id,
        "valohai.creator-name": row.creator_name,
        "valohai.creator-email": row.creator_email,
        "valohai.environment-id": row.environment_id,
        "valohai.environment-name": row.environment_name,
        "valohai.environment-slug": row.environment_slug,
        "valohai.project-id": row.project_id,
        "valohai.project-name": row.project_name,
        "valohai.task-id": None,
        "valohai.task-counter": None,
        "valohai.pipeline-id": None,
        "valohai.pipeline-counter": None,
        "valohai.pipeline-node-id": None,
        "valohai.pipeline-title": None,
        "valohai.pipeline-tags": [],
    }
