"""Projects: who may touch them, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, func, insert, or_, select
from sqlalchemy import update as sql_update

from control.database.ids import new_id
from control.database.rows import AnyRow, AnySelect
from control.database.tables.executions import execution_counts
from control.database.tables.people import users
from control.database.tables.projects import commits, project_members, projects, repositories
from control.domain.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from control.domain.roles import Action, Caller, Role, allows
from control.domain.states import INCOMPLETE
from control.services import audit, environments
from control.services.world import World

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MAX_DESCRIPTION = 10_000


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project as people see it. `role` is the caller's; None for an administrator's look."""

    row: AnyRow
    owner: Any  # a row: id, username
    role: Role | None
    repository: AnyRow | None
    counts: Mapping[str, int]  # executions by status


# -- who may ------------------------------------------------------------------------------------
def authorise(connection: Connection, caller: Caller, project_id: str, action: Action) -> AnyRow:
    """Read a project if the caller may do this with it.

    The row holds the project's columns, `role` and `owner_username`. A stranger gets NotFound,
    for its existence is secret; somebody who lacks the right gets Forbidden. Source: ORG-1.
    """
    row = connection.execute(
        _AUTHORISE, {"project_id": project_id, "caller_id": caller.user_id}
    ).first()
    role = role_of(row, caller) if row is not None else None
    if row is None or not allows(role, Action.READ, is_admin=caller.is_admin):
        raise NotFound
    if not allows(role, action, is_admin=caller.is_admin):
        raise Forbidden
    return row


def role_of(row: AnyRow, caller: Caller) -> Role | None:
    """Say what the caller is in a project read by `authorise`."""
    if row.owner_id == caller.user_id:
        return Role.OWNER
    return Role(row.role) if row.role is not None else None


def may(row: AnyRow, caller: Caller, action: Action) -> bool:
    """Say whether the caller may do something with a project read by `authorise`."""
    return allows(role_of(row, caller), action, is_admin=caller.is_admin)


def visible_to(caller: Caller) -> ColumnElement[bool]:
    """Make the condition that lets through the projects a caller may read."""
    if caller.is_admin:
        return ~projects.c.is_deleted
    mine = select(project_members.c.project_id).where(project_members.c.user_id == caller.user_id)
    return and_(
        ~projects.c.is_deleted,
        or_(projects.c.owner_id == caller.user_id, projects.c.id.in_(mine)),
    )


def visible_ids(caller: Caller) -> Select[tuple[str]]:
    """Make the sub-query of the ids a caller may read, for lists across projects."""
    return select(projects.c.id).where(visible_to(caller))


def _readable(caller_id: Any) -> AnySelect:
    return (
        select(projects, project_members.c.role, users.c.username.label("owner_username"))
        .join(users, users.c.id == projects.c.owner_id)
        .outerjoin(
            project_members,
            and_(
                project_members.c.project_id == projects.c.id,
                project_members.c.user_id == caller_id,
            ),
        )
    )


# Asked by every request: built once, for building costs more than asking.
_AUTHORISE = _readable(bindparam("caller_id")).where(
    projects.c.id == bindparam("project_id"), ~projects.c.is_deleted
)


# -- reading ------------------------------------------------------------------------------------
def find(
    world: World, caller: Caller, project_id: str, *, action: Action = Action.READ
) -> ProjectView:
    """Read one project. Raises NotFound, Forbidden."""
    with world.database.read() as connection:
        row = authorise(connection, caller, project_id, action)
        return _views(connection, caller, [row])[0]


def list_page(
    world: World, caller: Caller, *, name: str = "", limit: int = 1000, offset: int = 0
) -> tuple[list[ProjectView], int]:
    """List the projects a caller may read, by name; `name` filters by a part in any case."""
    condition = visible_to(caller)
    if name:
        condition = and_(condition, projects.c.name_key.contains(name.lower(), autoescape=True))
    query = (
        _readable(caller.user_id)
        .where(condition)
        .order_by(projects.c.name_key, projects.c.id)
        .limit(limit)
        .offset(offset)
    )
    with world.database.read() as connection:
        rows = list(connection.execute(query))
        total = len(rows)
        if offset or total == limit:
            total = connection.execute(
                select(func.count()).select_from(projects).where(condition)
            ).scalar_one()
        return _views(connection, caller, rows), total


def _views(connection: Connection, caller: Caller, rows: Sequence[AnyRow]) -> list[ProjectView]:
    if not rows:
        return []
    ids = [row.id for row in rows]
    found = connection.execute(select(repositories).where(repositories.c.project_id.in_(ids)))
    linked = {one.project_id: one for one in found}
    counts: dict[str, dict[str, int]] = {}
    for one in connection.execute(
        select(
            execution_counts.c.project_id,
            execution_counts.c.status,
            func.sum(execution_counts.c.count).label("total"),
        )
        .where(execution_counts.c.project_id.in_(ids))
        .group_by(execution_counts.c.project_id, execution_counts.c.status)
    ):
        counts.setdefault(one.project_id, {})[one.status] = int(one.total)
    owners = {
        one.id: one
        for one in connection.execute(
            select(users.c.id, users.c.username).where(
                users.c.id.in_({row.owner_id for row in rows})
            )
        )
    }
    return [
        ProjectView(
            row=row,
            owner=owners[row.owner_id],
            role=role_of(row, caller),
            repository=linked.get(row.id),
            counts=counts.get(row.id, {}),
        )
        for row in rows
    ]


def ownership_options(world: World, caller: Caller) -> list[str]:
    """List the names that may own a project the caller creates, best first."""
    return [caller.username]


# -- changing -----------------------------------------------------------------------------------
def create(
    world: World,
    caller: Caller,
    name: str,
    now: datetime,
    *,
    description: str = "",
    owner: str | None = None,
) -> ProjectView:
    """Create a project; its owner is the caller, or, for an administrator, anybody named."""
    errors = check_name(name) + check_description(description)
    if errors:
        raise Invalid(*errors)
    project_id = new_id(now)

    def work(connection: Connection) -> None:
        owner_id = _owner_id(connection, caller, owner)
        _refuse_taken(connection, owner_id, name)
        connection.execute(
            insert(projects).values(
                id=project_id,
                name=name,
                name_key=name.lower(),
                owner_id=owner_id,
                description=description,
                ctime=now,
                mtime=now,
            )
        )
        connection.execute(
            insert(project_members).values(project_id=project_id, user_id=owner_id, role=Role.OWNER)
        )
        audit.record(connection, caller, "project.create", name, project_id, None, now)

    world.database.write(work)
    return find(world, caller, project_id)


def update(
    world: World, caller: Caller, project_id: str, changes: Mapping[str, Any], now: datetime
) -> ProjectView:
    """Change name, description, yaml_path or default_environment; what is not named stays."""
    checks = {"name": check_name, "description": check_description, "yaml_path": check_yaml_path}
    errors = [
        error for key, check in checks.items() if key in changes for error in check(changes[key])
    ]
    if errors:
        raise Invalid(*errors)

    def work(connection: Connection) -> None:
        row = authorise(connection, caller, project_id, Action.MANAGE)
        values = {key: changes[key] for key in checks if key in changes}
        if "name" in values:
            values["name_key"] = values["name"].lower()
            if values["name_key"] != row.name_key:
                _refuse_taken(connection, row.owner_id, values["name"])
        if "default_environment" in changes:
            values["default_environment_id"] = _environment_id(
                connection, changes["default_environment"]
            )
        if not values:
            return
        if values.get("yaml_path", row.yaml_path) != row.yaml_path:
            _forget_configurations(connection, project_id, values["yaml_path"])
        connection.execute(
            sql_update(projects).where(projects.c.id == project_id).values(**values, mtime=now)
        )
        audit.record(connection, caller, "project.update", row.name, project_id, values, now)

    world.database.write(work)
    return find(world, caller, project_id)


def delete(world: World, caller: Caller, project_id: str, now: datetime) -> None:
    """Hide a project from everybody and free its name. Raises Conflict while something runs."""

    def work(connection: Connection) -> None:
        row = authorise(connection, caller, project_id, Action.MANAGE)
        busy = connection.execute(
            select(func.coalesce(func.sum(execution_counts.c.count), 0)).where(
                execution_counts.c.project_id == project_id,
                execution_counts.c.status.in_(INCOMPLETE),
            )
        ).scalar_one()
        if busy:
            raise Conflict(f"Stop the {busy} executions that wait or run in {row.name} first.")
        connection.execute(
            sql_update(projects)
            .where(projects.c.id == project_id, ~projects.c.is_deleted)
            .values(is_deleted=True, name_key=project_id, mtime=now)
        )
        audit.record(connection, caller, "project.delete", row.name, project_id, None, now)

    world.database.write(work)


def check_name(name: Any) -> list[FieldError]:
    """Say what is wrong with a name."""
    if not name:
        return [FieldError("name", "Give the project a name.", "required")]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return [
            FieldError(
                "name",
                "A project's name has letters, digits, - _ and . (at most 100, no other sign "
                "first).",
            )
        ]
    return []


def check_description(text: Any) -> list[FieldError]:
    """Say what is wrong with a description."""
    if not isinstance(text, str) or len(text) > MAX_DESCRIPTION:
        return [FieldError("description", f"A text of at most {MAX_DESCRIPTION} characters.")]
    return []


def check_yaml_path(path: Any) -> list[FieldError]:
    """Say what is wrong with the path of the configuration inside the repository."""
    is_bad = (
        not isinstance(path, str)
        or not 0 < len(path) <= 500
        or path.startswith("/")
        or "\\" in path
        or any(part in ("", ".", "..") for part in path.split("/"))
        or any(ord(letter) < 32 for letter in path)
    )
    if is_bad:
        return [FieldError("yaml_path", "A relative path inside the repository, without ...")]
    return []


def _forget_configurations(connection: Connection, project_id: str, yaml_path: str) -> None:
    """Let Git commits be read again, at the new path, when next needed."""
    connection.execute(
        sql_update(commits)
        .where(commits.c.project_id == project_id, ~commits.c.adhoc)
        .values(yaml_path=yaml_path, config=None, config_errors=None)
    )


def _environment_id(connection: Connection, wanted: str | None) -> str | None:
    if not wanted:
        return None
    return environments.find(connection, wanted, field="default_environment").id


def _owner_id(connection: Connection, caller: Caller, owner: str | None) -> int:
    if not owner or owner == caller.username:
        return caller.user_id
    found = connection.execute(select(users.c.id).where(users.c.username == owner)).scalar()
    if found is None or not caller.is_admin:
        raise Invalid.one("owner", f"You cannot create projects for {owner!r}.", "invalid_owner")
    return found


def _refuse_taken(connection: Connection, owner_id: int, name: str) -> None:
    taken = connection.execute(
        select(projects.c.id).where(
            projects.c.owner_id == owner_id, projects.c.name_key == name.lower()
        )
    ).first()
    if taken is not None:
        raise Invalid.one("name", f"There is a project {name!r} already.", "unique")
