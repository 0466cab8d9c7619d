"""A new execution: checked whole, written durably and queued before the answer (part 4).

Under load requests share statements, commits and queue round trips: see `Writer.submit_bulk`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, bindparam, select, update
from valohai_yaml.objs import Step

from control.database.bulk import insert_rows
from control.database.ids import new_id
from control.database.rows import AnyRow
from control.database.tables.datums import datum_uses
from control.database.tables.environments import environments as environment_rows
from control.database.tables.executions import executions
from control.database.tables.people import audit_entries
from control.database.tables.projects import project_variables, projects
from control.domain.errors import FieldError, Invalid
from control.domain.executions import ExecutionRequest
from control.domain.parameters import render_commands, resolve_parameters
from control.domain.ports import QueueEntry
from control.domain.roles import Action, Caller
from control.domain.states import Status
from control.services import commits, environments, inputs, queueing, transitions
from control.services.executions import ExecutionView
from control.services.projects import authorise
from control.services.world import World

MAX_PRIORITY = 400
FULL_LENGTH = 40
"""Signs of a full Git hash; a shorter text may be a ref, which moves."""
COMMITS_KEPT = 1000
_DEFAULTS: dict[str, Any] = {
    column.name: getattr(column.default, "arg", None) for column in executions.c
}


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands around a new execution."""

    project: AnyRow
    owner: AnyRow
    commit: AnyRow
    step: Step
    environment: AnyRow
    creator: AnyRow


@dataclass(frozen=True, slots=True)
class _New:
    """One row to write."""

    values: dict[str, Any]
    environment: AnyRow
    caller: Caller
    datum_ids: tuple[tuple[str, str], ...]  # datum id, input


@dataclass(frozen=True, slots=True)
class _Push:
    """Pushes what a batch has queued, in one round trip."""

    world: World
    kind: str  # of the environment

    def __call__(self, results: list[dict[str, Any]]) -> None:
        queued = [one for one in results if one["status"] == Status.QUEUED]
        entries = [
            QueueEntry(one["id"], one["environment_id"], one["priority"], one["queued_at"])
            for one in queued
        ]
        for project_id in {one["project_id"] for one in results}:
            queueing.announce_project(self.world, project_id)
        queueing.push(self.world, queueing.with_wake_up(entries, {self.kind}))


def create(world: World, caller: Caller, request: ExecutionRequest, now: datetime) -> ExecutionView:
    """Create an execution and queue it. Raises Invalid with every fault, NotFound, Forbidden."""
    around = world.database.looks.ask(
        _look_key(caller, request), lambda: _look_around(world, caller, request)
    )
    values, used = _values(world, around, request, caller, now)
    commits.ensure_archive(world, around.commit)
    new = _New(values, around.environment, caller, used)
    push = _Push(world, around.environment.kind)
    written = world.database.write_bulk(_insert, new, after_commit=push)
    return ExecutionView(
        row=SimpleNamespace(**{**_DEFAULTS, **written}),  # pyright: ignore[reportArgumentType]
        project=around.project,
        owner=around.owner,
        commit=around.commit,
        environment=around.environment,
        creator=around.creator,
    )


def _look_key(caller: Caller, request: ExecutionRequest) -> Hashable:
    """All that a look around depends on: requests with the same key may share one."""
    return (
        caller,
        request.project_id,
        request.commit,
        request.step,
        request.environment,
        frozenset(request.env_vars),
        request.inherit_env_vars,
    )


# -- looking ------------------------------------------------------------------------------------
def _look_around(world: World, caller: Caller, request: ExecutionRequest) -> _Around:
    with world.database.read() as connection:
        project = authorise(connection, caller, request.project_id, Action.RUN)
        commit = _commit(connection, project, request.commit)
        step = commits.known_step(commit, request.step)
        if step is None:
            connection.rollback()  # no connection is held while git may run
            step = commits.step_of(world, commit, request.step)
        environment = _environment(connection, project, request.environment or step.environment)
        _check_variables(connection, project, step, request)
        return _Around(
            project=project,
            owner=_person(project.owner_id, project.owner_username),
            commit=commit,
            step=step,
            environment=environment,
            creator=_person(caller.user_id, caller.username),
        )


_whole_commits: dict[tuple[str, str, str], AnyRow] = {}
"""Commits with an archive, by project, its yaml_path and identifier: those never change."""


def _person(user_id: int, username: str) -> Any:
    """What an answer says of a person, without asking for the row again."""
    return SimpleNamespace(id=user_id, username=username)


def _commit(connection: Connection, project: AnyRow, identifier: str) -> AnyRow:
    key = (project.id, project.yaml_path, identifier)
    known = _whole_commits.get(key)
    if known is not None:
        return known
    row = commits.resolve(connection, project.id, identifier)
    if row.identifier == identifier and row.archive_key and len(identifier) >= FULL_LENGTH:
        if len(_whole_commits) >= COMMITS_KEPT:
            _whole_commits.clear()
        _whole_commits[key] = row
    return row


def _environment(connection: Connection, project: AnyRow, wanted: str | None) -> AnyRow:
    if wanted and wanted != "PROJECT_DEFAULT":
        environment = environments.find(connection, wanted)
    else:
        environment = _default_environment(connection, project)
    if not environment.is_enabled:
        raise Invalid.one("environment", f"The environment {environment.name} is switched off.")
    return environment


def _default_environment(connection: Connection, project: AnyRow) -> AnyRow:
    if project.default_environment_id:
        row = connection.execute(
            select(environment_rows).where(
                environment_rows.c.id == project.default_environment_id,
                environment_rows.c.is_enabled.is_(True),
            )
        ).first()
        if row is not None:
            return row
    row = environments.default(connection)
    if row is None:
        raise Invalid.one(
            "environment",
            "There is no environment yet: `talkoot admin environment add NAME` makes one.",
            "does_not_exist",
        )
    return row


def _check_variables(
    connection: Connection, project: AnyRow, step: Step, request: ExecutionRequest
) -> None:
    required = {
        one.name
        for one in step.environment_variables.values()
        if not one.optional and one.default is None and one.name not in request.env_vars
    }
    if required and request.inherit_env_vars:
        required -= set(
            connection.scalars(
                select(project_variables.c.name).where(project_variables.c.project_id == project.id)
            )
        )
    if required:
        raise Invalid(
            *(
                FieldError(
                    f"environment_variables.{name}", "This variable is required.", "required"
                )
                for name in sorted(required)
            )
        )


# -- checking -----------------------------------------------------------------------------------
def _values(
    world: World, around: _Around, request: ExecutionRequest, caller: Caller, now: datetime
) -> tuple[dict[str, Any], tuple[tuple[str, str], ...]]:
    """Check what was given and write the row, all faults together."""
    step, errors = around.step, list(_faults_of(request))
    parameters: dict[str, Any] = {}
    resolved: list[dict[str, Any]] = []
    try:
        parameters = resolve_parameters(step, request.parameters)
    except Invalid as invalid:
        errors += invalid.errors
    try:
        resolved = inputs.resolve(world, around.project.id, step, request.inputs, parameters)
    except Invalid as invalid:
        errors += invalid.errors
    if errors:
        raise Invalid(*errors)
    commands = render_commands(step, parameters, request.command)
    written = request.command or step.command
    config = request.runtime_config
    limit = request.time_limit_s if request.time_limit_s is not None else step.time_limit
    quiet = config.get("no_output_timeout") or step.no_output_timeout
    values = {
        "id": new_id(now),
        "project_id": around.project.id,
        "commit_id": around.commit.id,
        "environment_id": around.environment.id,
        "creator_id": caller.user_id,
        "step": step.name,
        "title": request.title,
        "image": request.image or step.image,
        "commands": commands,
        "command": written if isinstance(written, str) else "\n".join(written),
        "parameters": parameters,
        "inputs": resolved,
        "env_vars": {**_default_variables(step), **request.env_vars},
        "inherit_env_vars": request.inherit_env_vars,
        "tags": list(dict.fromkeys(request.tags)),
        "runtime_config": config,
        "priority": request.priority,
        "time_limit_s": _seconds(limit) or None,
        "no_output_timeout_s": _seconds(quiet) or None,
        "ctime": now,
        "mtime": now,
    }
    used = tuple(
        {
            (file["datum_id"], one["name"]): None
            for one in resolved
            for file in one["files"]
            if file.get("datum_id")
        }
    )
    return values, used


def _faults_of(request: ExecutionRequest) -> list[FieldError]:
    faults: list[FieldError] = []
    if abs(request.priority) > MAX_PRIORITY:
        faults.append(
            FieldError("priority", f"A priority lies between -{MAX_PRIORITY} and {MAX_PRIORITY}.")
        )
    if (request.time_limit_s or 0) < 0:
        faults.append(FieldError("time_limit", "A time limit is not negative."))
    if len(request.title) > 500:
        faults.append(FieldError("title", "At most 500 characters."))
    faults += [
        FieldError(f"environment_variables.{name}", "Names hold no `=` and are not empty.")
        for name in request.env_vars
        if not name or "=" in name or "\0" in name
    ]
    return faults


def _default_variables(step: Step) -> dict[str, str]:
    return {
        one.name: str(one.default)
        for one in step.environment_variables.values()
        if one.default is not None
    }


def _seconds(value: Any) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return float(value or 0)


# -- writing ------------------------------------------------------------------------------------
def _insert(connection: Connection, news: list[_New]) -> list[dict[str, Any]]:
    """Write all rows of a batch: counters, rows, counts, audit and lineage."""
    counters = _counters(connection, news)
    rows: list[dict[str, Any]] = []
    for new in news:
        decision = queueing.decide(connection, new.environment, new.caller.user_id)
        queued = decision.status is Status.QUEUED
        rows.append(
            {
                **new.values,
                "counter": next(counters[new.values["project_id"]]),
                "status": decision.status,
                "phase": "queued" if queued else "created",
                "queued_at": new.values["ctime"] if queued else None,
            }
        )
        if new.environment.per_user_queue_quota > 0:
            insert_rows(connection, executions, [rows[-1]])  # the next one must count it
    unquoted = [
        row
        for row, new in zip(rows, news, strict=True)
        if new.environment.per_user_queue_quota <= 0
    ]
    insert_rows(connection, executions, unquoted)
    changes = Counter(
        (row["project_id"], row["environment_id"], str(row["status"])) for row in rows
    )
    transitions.count(connection, dict(changes))
    audits = [_audit(row, new) for row, new in zip(rows, news, strict=True)]
    insert_rows(connection, audit_entries, audits)
    uses = [
        {"datum_id": datum_id, "execution_id": new.values["id"], "input": name}
        for new in news
        for datum_id, name in new.datum_ids
    ]
    insert_rows(connection, datum_uses, uses)
    return rows


_RESERVE = (
    update(projects)
    .where(projects.c.id == bindparam("of_project"))
    .values(
        last_execution_counter=projects.c.last_execution_counter + bindparam("number"),
        last_execution_ctime=bindparam("at"),
    )
    .returning(projects.c.last_execution_counter)
)


def _counters(connection: Connection, news: list[_New]) -> dict[str, Any]:
    """Reserve consecutive counters in each project."""
    wanted = Counter(new.values["project_id"] for new in news)
    reserved: dict[str, Any] = {}
    for project_id, number in sorted(wanted.items()):
        given = {"of_project": project_id, "number": number, "at": news[-1].values["ctime"]}
        last = connection.execute(_RESERVE, given).scalar_one()
        reserved[project_id] = iter(range(last - number + 1, last + 1))
    return reserved


def _audit(row: dict[str, Any], new: _New) -> dict[str, Any]:
    return {
        "id": new_id(row["ctime"]),
        "time": row["ctime"],
        "user_id": new.caller.user_id,
        "actor": new.caller.username,
        "action": "execution.create",
        "project_id": row["project_id"],
        "subject": f"#{row['counter']}",
        "properties": None,
    }


# -- again --------------------------------------------------------------------------------------
def copy(
    world: World, caller: Caller, view: ExecutionView, overrides: dict[str, Any], now: datetime
) -> ExecutionView:
    """Run an execution again as it was, with what `overrides` (of ExecutionRequest) changes."""
    row = view.row
    given: dict[str, Any] = {
        "project_id": row.project_id,
        "commit": view.commit.identifier,
        "step": row.step,
        "parameters": row.parameters,
        "inputs": {one["name"]: one["urls"] for one in row.inputs},
        "environment": view.environment.slug,
        "image": row.image,
        "title": row.title,
        "tags": tuple(row.tags),
        "env_vars": row.env_vars,
        "inherit_env_vars": row.inherit_env_vars,
        "priority": row.priority,
        "time_limit_s": row.time_limit_s,
        "runtime_config": row.runtime_config,
    }
    return create(world, caller, ExecutionRequest(**{**given, **overrides}), now)
