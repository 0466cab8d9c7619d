"""A new execution: checked whole, written durably and queued before the answer (part 4).

Under load requests share statements, commits and queue round trips: see `Writer.submit_bulk`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeAlias

from sqlalchemy import Connection, bindparam, update
from valohai_yaml.objs import Step

from control.database.bulk import insert_rows
from control.database.ids import new_id
from control.database.tables.datums import datum_uses
from control.database.tables.executions import executions
from control.database.tables.people import audit_entries
from control.database.tables.projects import projects
from control.domain.errors import FieldError, Invalid, TalkootError, TemporaryError
from control.domain.executions import ExecutionRequest
from control.domain.parameters import render_commands, resolve_parameters
from control.domain.ports import QueueEntry
from control.domain.roles import Caller
from control.domain.states import Status
from control.services import commits, inputs, queueing, surroundings, transitions
from control.services.executions import ExecutionView
from control.services.surroundings import Around, Outdated
from control.services.world import World

MAX_PRIORITY = 400
MAX_LOOKS = 3
_DEFAULTS: dict[str, Any] = {
    column.name: getattr(column.default, "arg", None) for column in executions.c
}


@dataclass(frozen=True, slots=True)
class _New:
    """One row to write."""

    values: dict[str, Any]
    around: Around  # as it was when the values were checked
    caller: Caller
    request: ExecutionRequest
    datum_ids: tuple[tuple[str, str], ...]  # datum id, input


_Written: TypeAlias = "tuple[dict[str, Any], Around] | TalkootError | Outdated"
"""The row that was written and what stood around it then, or why it was not."""


@dataclass(frozen=True, slots=True)
class _Push:
    """Pushes what a batch has queued, in one round trip."""

    world: World
    kind: str  # of the environment

    def __call__(self, results: list[_Written]) -> None:
        rows = [one[0] for one in results if isinstance(one, tuple)]
        queued = [one for one in rows if one["status"] == Status.QUEUED]
        entries = [
            QueueEntry(one["id"], one["environment_id"], one["priority"], one["queued_at"])
            for one in queued
        ]
        for project_id in {one["project_id"] for one in rows}:
            queueing.announce_project(self.world, project_id)
        queueing.push(self.world, queueing.with_wake_up(entries, {self.kind}))


def create(world: World, caller: Caller, request: ExecutionRequest, now: datetime) -> ExecutionView:
    """Create an execution and queue it. Raises Invalid with every fault, NotFound, Forbidden."""
    remembered = surroundings.recall(world, surroundings.key_of(caller, request))
    if remembered is not None:
        with suppress(Invalid, Outdated):  # either may come of what is remembered: look anew
            return _create(world, remembered, caller, request, now)
    for _ in range(MAX_LOOKS):
        around = surroundings.look(world, caller, request)
        with suppress(Outdated):
            return _create(world, around, caller, request, now)
    raise TemporaryError("What this execution needs changes at the moment: try again.")


def _create(
    world: World, around: Around, caller: Caller, request: ExecutionRequest, now: datetime
) -> ExecutionView:
    values, used = _values(world, around, request, caller, now)
    commits.ensure_archive(world, around.commit)
    new = _New(values, around, caller, request, used)
    push = _Push(world, around.environment.kind)
    written: _Written = world.database.write_bulk(_insert, new, after_commit=push)
    if isinstance(written, Exception):
        raise written
    row, around = written
    return ExecutionView(
        row=SimpleNamespace(**{**_DEFAULTS, **row}),  # pyright: ignore[reportArgumentType]
        project=around.project,
        owner=around.owner,
        commit=around.commit,
        environment=around.environment,
        creator=around.creator,
    )


# -- checking -----------------------------------------------------------------------------------
def _values(
    world: World, around: Around, request: ExecutionRequest, caller: Caller, now: datetime
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
def _insert(connection: Connection, news: list[_New]) -> list[_Written]:
    """Write a batch; a request that is refused now, or was checked too early, gets an error."""
    looks = Looks(connection)
    found = [looks.of(new.caller, new.request, new.around) for new in news]
    accepted = [(new, one) for new, one in zip(news, found, strict=True) if isinstance(one, Around)]
    rows = iter(_insert_rows(connection, accepted) if accepted else [])
    return [(next(rows), one) if isinstance(one, Around) else one for one in found]


class Looks:
    """Looks around once for all of a batch that ask the same and knew the same."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._found: dict[Hashable, Around | TalkootError | Outdated] = {}

    def of(
        self, caller: Caller, request: ExecutionRequest, before: Around
    ) -> Around | TalkootError | Outdated:
        """Say what a request that knew `before` stands in now, or why it cannot be written."""
        key = (surroundings.key_of(caller, request), id(before.step), before.environment.id)
        if key not in self._found:
            self._found[key] = self._look(caller, request, before)
        return self._found[key]

    def _look(
        self, caller: Caller, request: ExecutionRequest, before: Around
    ) -> Around | TalkootError | Outdated:
        try:
            return surroundings.look_again(self._connection, caller, request, before)
        except (TalkootError, Outdated) as error:
            return error


def _insert_rows(
    connection: Connection, accepted: list[tuple[_New, Around]]
) -> list[dict[str, Any]]:
    """Write counters, rows, counts, audit and lineage."""
    counters = _counters(connection, [new for new, _ in accepted])
    rows: list[dict[str, Any]] = []
    unquoted: list[dict[str, Any]] = []
    for new, around in accepted:
        decision = queueing.decide(connection, around.environment, new.caller.user_id)
        queued = decision.status is Status.QUEUED
        row = {
            **new.values,
            "counter": next(counters[new.values["project_id"]]),
            "status": decision.status,
            "phase": "queued" if queued else "created",
            "queued_at": new.values["ctime"] if queued else None,
        }
        rows.append(row)
        if around.environment.per_user_queue_quota > 0:
            insert_rows(connection, executions, [row])  # the next one must count it
        else:
            unquoted.append(row)
    insert_rows(connection, executions, unquoted)
    changes = Counter(
        (row["project_id"], row["environment_id"], str(row["status"])) for row in rows
    )
    transitions.count(connection, dict(changes))
    audits = [_audit(row, new) for row, (new, _) in zip(rows, accepted, strict=True)]
    insert_rows(connection, audit_entries, audits)
    uses = [
        {"datum_id": datum_id, "execution_id": new.values["id"], "input": name}
        for new, _ in accepted
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
