"""A project's environment variables; the value of a secret one leaves only towards a worker."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from control.database.rows import AnyRow
from control.database.tables.projects import project_variables
from control.domain.errors import FieldError, Invalid, NotFound
from control.domain.roles import Action, Caller
from control.services import audit, projects
from control.services.world import World

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
MAX_VALUE = 65_536


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as it may be shown: the value of a secret one is None."""

    name: str
    value: str | None
    is_secret: bool


def list_variables(world: World, caller: Caller, project_id: str) -> list[Variable]:
    """List a project's variables by name."""
    with world.database.read() as connection:
        projects.authorise(connection, caller, project_id, Action.READ)
        return [
            Variable(row.name, None if row.is_secret else row.value, row.is_secret)
            for row in _rows(connection, project_id)
        ]


def _rows(connection: Connection, project_id: str) -> Sequence[AnyRow]:
    return connection.execute(
        select(project_variables)
        .where(project_variables.c.project_id == project_id)
        .order_by(project_variables.c.name)
    ).all()


def set_variable(
    world: World, caller: Caller, project_id: str, variable: tuple[str, str, bool], now: datetime
) -> None:
    """Create or replace (name, value, is secret). Raises Invalid."""
    name, value, is_secret = variable
    errors = check_name(name)
    if len(value) > MAX_VALUE or "\0" in value:
        errors.append(FieldError("value", f"A text of at most {MAX_VALUE} characters."))
    if errors:
        raise Invalid(*errors)
    stored = world.box.seal(value, purpose=purpose(project_id, name)) if is_secret else value

    def work(connection: Connection) -> None:
        projects.authorise(connection, caller, project_id, Action.MANAGE)
        here = _here(project_id, name)
        changed = connection.execute(
            update(project_variables).where(here).values(value=stored, is_secret=is_secret)
        )
        if changed.rowcount == 0:
            connection.execute(
                insert(project_variables).values(
                    project_id=project_id, name=name, value=stored, is_secret=is_secret
                )
            )
        audit.record(
            connection, caller, "variable.set", name, project_id, {"is_secret": is_secret}, now
        )

    world.database.write(work)


def delete_variable(
    world: World, caller: Caller, project_id: str, name: str, now: datetime
) -> None:
    """Delete a variable. Raises NotFound."""

    def work(connection: Connection) -> None:
        projects.authorise(connection, caller, project_id, Action.MANAGE)
        gone = connection.execute(delete(project_variables).where(_here(project_id, name)))
        if gone.rowcount == 0:
            raise NotFound(f"There is no variable {name!r}.")
        audit.record(connection, caller, "variable.delete", name, project_id, None, now)

    world.database.write(work)


def check_name(name: str) -> list[FieldError]:
    """Say what is wrong with a variable's name."""
    if not name:
        return [FieldError("name", "Give the variable a name.", "required")]
    if not _NAME.fullmatch(name):
        return [FieldError("name", "A name has letters, digits and _, and begins with no digit.")]
    return []


def purpose(project_id: str, name: str) -> str:
    """What binds a sealed value to its place."""
    return f"variable:{project_id}:{name}"


def _here(project_id: str, name: str) -> Any:
    return (project_variables.c.project_id == project_id) & (project_variables.c.name == name)
