"""Who belongs to a project, and as what."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from control.database.rows import AnyRow, AnySelect
from control.database.tables.people import users
from control.database.tables.projects import project_members
from control.domain.errors import Invalid
from control.domain.roles import Action, Caller, Role
from control.services import audit, projects
from control.services.world import World


def list_members(world: World, caller: Caller, project_id: str) -> list[AnyRow]:
    """List the people of a project (id, username, role), by name."""
    query: AnySelect = (
        select(users.c.id, users.c.username, project_members.c.role)
        .join(project_members, project_members.c.user_id == users.c.id)
        .where(project_members.c.project_id == project_id)
        .order_by(users.c.username)
    )
    with world.database.read() as connection:
        projects.authorise(connection, caller, project_id, Action.READ)
        return list(connection.execute(query))


def set_member(
    world: World, caller: Caller, project_id: str, username: str, role: str | None, now: datetime
) -> None:
    """Give a person a role, change it, or (None) take it away; the owner keeps the ownership."""
    try:
        wanted = Role(role) if role is not None else None
    except ValueError:
        names = ", ".join(Role)
        raise Invalid.one("role", f"A role is one of {names}.", "invalid_choice") from None

    def work(connection: Connection) -> None:
        row = projects.authorise(connection, caller, project_id, Action.MANAGE)
        user_id = connection.execute(
            select(users.c.id).where(users.c.username == username)
        ).scalar()
        if user_id is None:
            raise Invalid.one("username", f"There is no user {username!r}.", "does_not_exist")
        if user_id == row.owner_id and wanted is not Role.OWNER:
            raise Invalid.one("role", "The project's owner stays its owner.")
        _write(connection, project_id, user_id, wanted)
        audit.record(
            connection, caller, "project.member", username, project_id, {"role": role}, now
        )

    world.database.write(work)


def _write(connection: Connection, project_id: str, user_id: int, role: Role | None) -> None:
    here = (project_members.c.project_id == project_id) & (project_members.c.user_id == user_id)
    if role is None:
        connection.execute(delete(project_members).where(here))
        return
    changed = connection.execute(update(project_members).where(here).values(role=role))
    if changed.rowcount == 0:
        connection.execute(
            insert(project_members).values(project_id=project_id, user_id=user_id, role=role)
        )
