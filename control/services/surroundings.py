"""What stands around a new execution: project, commit, step, environment, and who asks for it.

It is remembered by the names a request uses, for the next request names the same ones. What is
remembered may be old, so the transaction that writes looks again (`look_again`), once for all of
its batch that ask the same: nothing is written that a look of its own would have refused.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, select
from valohai_yaml.objs import Step

from control.database.rows import AnyRow
from control.database.session import Database
from control.database.tables.environments import environments as environment_rows
from control.database.tables.projects import project_variables
from control.domain.errors import FieldError, Invalid
from control.domain.executions import ExecutionRequest
from control.domain.roles import Action, Caller
from control.services import commits, environments
from control.services.projects import authorise
from control.services.world import World

FULL_LENGTH = 40
"""Signs of a full Git hash; a shorter text may be a ref, which moves."""
KEPT = 1000
"""Commits, and surroundings of each database, that a process remembers."""


class Outdated(Exception):
    """What was known when the request was checked has changed: look and check again."""


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around a new execution."""

    project: AnyRow
    owner: AnyRow
    commit: AnyRow
    step: Step
    environment: AnyRow
    creator: AnyRow


_lock = threading.Lock()
_remembered: WeakKeyDictionary[Database, dict[Hashable, Around]] = WeakKeyDictionary()
_whole_commits: dict[tuple[str, str, str], AnyRow] = {}
"""Commits with an archive, by project, its yaml_path and identifier: those never change."""


def key_of(caller: Caller, request: ExecutionRequest) -> Hashable:
    """All that a look depends on: requests with the same key stand in the same surroundings."""
    return (
        caller,
        request.project_id,
        request.commit,
        request.step,
        request.environment,
        frozenset(request.env_vars),
        request.inherit_env_vars,
    )


def recall(world: World, key: Hashable) -> Around | None:
    """Answer what the last look with this key found; it may be old."""
    return _memory_of(world).get(key)


def look(world: World, caller: Caller, request: ExecutionRequest) -> Around:
    """Look everything up, and remember it. Raises Invalid, NotFound, Forbidden.

    Call it outside a connection: git may run.
    """
    with world.database.read() as connection:
        project = authorise(connection, caller, request.project_id, Action.RUN)
        commit = _commit(connection, project, request.commit)
    step = commits.step_of(world, commit, request.step)
    with world.database.read() as connection:
        environment = _environment(connection, project, request.environment or step.environment)
        _check_variables(connection, project, step, request)
    around = _around(caller, project, commit, step, environment)
    if commit.archive_key is not None:
        memory = _memory_of(world)
        if len(memory) >= KEPT:
            memory.clear()
        memory[key_of(caller, request)] = around
    return around


def look_again(
    connection: Connection, caller: Caller, request: ExecutionRequest, before: Around
) -> Around:
    """Look within the transaction that writes. Raises as `look`, and Outdated."""
    project = authorise(connection, caller, request.project_id, Action.RUN)
    commit = _commit(connection, project, request.commit)
    step = commits.known_step(commit, request.step)
    if step is None or step is not before.step or commit.id != before.commit.id:
        raise Outdated
    environment = _environment(connection, project, request.environment or step.environment)
    if environment.id != before.environment.id:
        raise Outdated
    _check_variables(connection, project, step, request)
    return _around(caller, project, commit, step, environment)


def _around(
    caller: Caller, project: AnyRow, commit: AnyRow, step: Step, environment: AnyRow
) -> Around:
    return Around(
        project=project,
        owner=_person(project.owner_id, project.owner_username),
        commit=commit,
        step=step,
        environment=environment,
        creator=_person(caller.user_id, caller.username),
    )


def _memory_of(world: World) -> dict[Hashable, Around]:
    memory = _remembered.get(world.database)
    if memory is None:
        with _lock:
            memory = _remembered.setdefault(world.database, {})
    return memory


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
        if len(_whole_commits) >= KEPT:
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
