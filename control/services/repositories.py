"""The Git repository of a project: how to reach it, and bringing its newest commits in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy import update as sql_update

from control.database.rows import AnyRow
from control.database.tables.projects import repositories
from control.domain.errors import FieldError, Invalid, PermanentError, TemporaryError
from control.domain.ports import GitRemote
from control.domain.repository_urls import Address, read_address
from control.domain.roles import Action, Caller
from control.services import audit
from control.services import commits as commit_service
from control.services import projects as project_service
from control.services.world import World

ACCESSES = ("public", "deploy_key", "token")


@dataclass(frozen=True, slots=True)
class RepositoryChange:
    """What to set; None leaves a thing as it is. An empty `url` unlinks the repository."""

    url: str | None = None
    ref: str | None = None
    access: str | None = None
    username: str | None = None
    token: str | None = None
    new_key: bool = False  # replace the deploy key


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """What a fetch brought: (ref, identifier) of each new commit, newest first; warnings."""

    commits: tuple[tuple[str, str], ...]
    errors: tuple[str, ...]


def find(connection: Connection, project_id: str) -> AnyRow | None:
    """Read a project's repository, or None."""
    return connection.execute(
        select(repositories).where(repositories.c.project_id == project_id)
    ).first()


def list_visible(world: World, caller: Caller) -> list[AnyRow]:
    """List the repositories of all projects the caller may read."""
    with world.database.read() as connection:
        return list(
            connection.execute(
                select(repositories)
                .where(repositories.c.project_id.in_(project_service.visible_ids(caller)))
                .order_by(repositories.c.id)
            )
        )


def set_repository(
    world: World, caller: Caller, project_id: str, change: RepositoryChange, now: datetime
) -> AnyRow | None:
    """Link, change or unlink the repository; makes the deploy key when one is needed.

    Raises Invalid. A password inside the URL becomes a sealed token.
    """
    with world.database.read() as connection:
        project_service.authorise(connection, caller, project_id, Action.MANAGE)
        old = find(connection, project_id)
    if change.url == "":
        _unlink(world, caller, project_id, now)
        return None
    values = _values(world, old, project_id, change)

    def work(connection: Connection) -> AnyRow | None:
        project_service.authorise(connection, caller, project_id, Action.MANAGE)
        changed = connection.execute(
            sql_update(repositories).where(repositories.c.project_id == project_id).values(**values)
        )
        if changed.rowcount == 0:
            connection.execute(insert(repositories).values(project_id=project_id, **values))
        audit.record(
            connection,
            caller,
            "repository.set",
            values["url"],
            project_id,
            {"ref": values["ref"], "access": values["access"]},
            now,
        )
        return find(connection, project_id)

    return world.database.write(work)


def remote_of(world: World, row: AnyRow) -> GitRemote:
    """Open a repository's secrets for one use."""
    purpose = f"repository:{row.project_id}"
    is_key, is_token = row.access == "deploy_key", row.access == "token"
    return GitRemote(
        url=row.url,
        private_key=(
            world.box.open(row.private_key_sealed, purpose=f"{purpose}:key")
            if is_key and row.private_key_sealed
            else None
        ),
        host_key=row.host_key,
        username=row.username if is_token else None,
        token=(
            world.box.open(row.token_sealed, purpose=f"{purpose}:token")
            if is_token and row.token_sealed
            else None
        ),
    )


def refs_of(row: AnyRow) -> list[str]:
    """Split the comma-separated refs."""
    return [ref.strip() for ref in row.ref.split(",") if ref.strip()]


def fetch(world: World, caller: Caller, project_id: str, now: datetime) -> FetchOutcome:
    """Bring the repository's new commits in, each with its configuration read and checked.

    Raises Invalid at `repository` when it cannot be reached; then nothing has changed. May
    block for two minutes.
    """
    with world.database.read() as connection:
        project = project_service.authorise(connection, caller, project_id, Action.RUN)
        row = find(connection, project_id)
    if row is None:
        raise Invalid.one(
            "repository",
            "This project has no Git repository yet: set one in its settings, or run with --adhoc.",
            "missing",
        )
    try:
        result = world.git.fetch(project_id, remote_of(world, row), refs_of(row))
    except (TemporaryError, PermanentError) as error:
        raise Invalid.one(
            "repository", f"{row.url} cannot be fetched: {error.message}", "unreachable"
        ) from error
    new = commit_service.read_new(world, project, result.commits)

    def work(connection: Connection) -> list[tuple[str, str]]:
        project_service.authorise(connection, caller, project_id, Action.RUN)
        stored = commit_service.store_new(connection, project, new, result.commits, now)
        connection.execute(
            sql_update(repositories)
            .where(repositories.c.id == row.id, repositories.c.url == row.url)
            .values(fetched_at=now, fetch_error=None, host_key=row.host_key or result.host_key)
        )
        audit.record(
            connection, caller, "repository.fetch", row.url, project_id, {"new": len(stored)}, now
        )
        return stored

    stored = world.database.write(work)
    warnings = commit_service.warnings_of(world, project_id, result.commits)
    return FetchOutcome(tuple(stored), (*result.errors, *warnings))


def _unlink(world: World, caller: Caller, project_id: str, now: datetime) -> None:
    def work(connection: Connection) -> None:
        project_service.authorise(connection, caller, project_id, Action.MANAGE)
        connection.execute(repositories.delete().where(repositories.c.project_id == project_id))
        audit.record(connection, caller, "repository.unlink", "", project_id, None, now)

    world.database.write(work)


def _values(
    world: World, old: AnyRow | None, project_id: str, change: RepositoryChange
) -> dict[str, Any]:
    url = change.url if change.url is not None else (old.url if old is not None else "")
    address = read_address(url)
    is_other_host = old is None or read_address(old.url).host != address.host
    token = change.token or address.password
    has_token = bool(token) or (
        not is_other_host and old is not None and old.token_sealed is not None
    )
    access = change.access or _access(address, has_token=has_token)
    ref = change.ref if change.ref is not None else (old.ref if old is not None else "main")
    _check(access, ref, has_token=has_token)
    values: dict[str, Any] = {"url": address.url, "ref": ref, "access": access}
    if is_other_host:  # pinned anew at the first fetch; a token is never sent to another host
        values |= {"host_key": None, "token_sealed": None, "username": None}
    purpose = f"repository:{project_id}"
    if token:
        values["token_sealed"] = world.box.seal(token, purpose=f"{purpose}:token")
    username = change.username or (address.username if address.is_http else None)
    if username:
        values["username"] = username[:150]
    if access == "deploy_key" and (old is None or old.public_key is None or change.new_key):
        private, public = world.git.make_deploy_key(f"talkoot {project_id}")
        values["private_key_sealed"] = world.box.seal(private, purpose=f"{purpose}:key")
        values["public_key"] = public
    return values


def _access(address: Address, *, has_token: bool) -> str:
    if address.is_ssh:
        return "deploy_key"
    return "token" if has_token and address.is_http else "public"


def _check(access: str, ref: str, *, has_token: bool) -> None:
    errors: list[FieldError] = []
    if access not in ACCESSES:
        errors.append(
            FieldError("repository.access", f"One of {', '.join(ACCESSES)}.", "invalid_choice")
        )
    if access == "token" and not has_token:
        errors.append(
            FieldError("repository.token", "Give the token that lets us read it.", "required")
        )
    refs = [one.strip() for one in ref.split(",") if one.strip()]
    if not refs or len(ref) > 500:
        errors.append(FieldError("repository.ref", "Name at least one branch or tag.", "required"))
    errors += [
        FieldError("repository.ref", f"'{one}' is no name of a branch or tag.")
        for one in refs
        if one.startswith("-") or any(sign in one for sign in " ~^:?*[\\") or ".." in one
    ]
    if errors:
        raise Invalid(*errors)
