"""Datums people ask for by hand: listing, fetching, uploading, purging; and their aliases."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, select, update

from control.database.ids import new_id
from control.database.rows import AnyRow, AnySelect
from control.database.tables.datums import datum_aliases, datum_uses, datums
from control.database.tables.executions import executions
from control.domain.errors import Conflict, FieldError, Invalid, NotFound
from control.domain.names import object_name
from control.domain.ports import SignedRequest
from control.domain.roles import Action, Caller
from control.services import audit, projects
from control.services.outputs import UPLOAD_TTL_S, move_alias
from control.services.world import World

DOWNLOAD_TTL_S = 3600
MAX_SIZE_BYTES = 5 * 2**40
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class DatumQuery:
    """A filter over stored datums of the caller's projects."""

    project_id: str | None = None
    execution_id: str | None = None
    name: str = ""  # a part of the name, in any case
    ordering: str = "-ctime"  # ctime, -ctime, name, -name
    limit: int = 1000
    offset: int = 0
    wants_count: bool = True


@dataclass(frozen=True, slots=True)
class DatumView:
    """A datum, the counter of what made it, and its aliases."""

    row: AnyRow
    counter: int | None
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AliasView:
    """An alias and what it names; `datum` is None for one that names nothing."""

    row: AnyRow
    datum: DatumView | None


# -- reading ------------------------------------------------------------------------------------
def find(world: World, caller: Caller, datum_id: str, *, action: Action = Action.READ) -> DatumView:
    """Read a stored datum. Raises NotFound, Forbidden."""
    with world.database.read() as connection:
        row = _authorised(connection, caller, datum_id, action)
        if not row.is_stored:
            raise NotFound
        return _views(connection, [row])[0]


def list_page(world: World, caller: Caller, query: DatumQuery) -> tuple[list[DatumView], int]:
    """List stored datums: (a page, how many there are in all; not counted when not wanted)."""
    with world.database.read() as connection:
        where = and_(datums.c.is_stored, _scope(connection, caller, query))
        if query.name:
            name = func.lower(datums.c.name)
            where = and_(where, name.contains(query.name.lower(), autoescape=True))
        rows = connection.execute(
            select(datums)
            .where(where)
            .order_by(*_order(query.ordering))
            .limit(query.limit)
            .offset(query.offset)
        ).all()
        total = query.offset + len(rows)
        if query.wants_count and len(rows) == query.limit:
            total = connection.execute(
                select(func.count()).select_from(datums).where(where)
            ).scalar_one()
        return _views(connection, rows), total


def of_execution(world: World, execution_id: str) -> list[DatumView]:
    """List what an execution stored, by name; the caller was authorised for the execution."""
    with world.database.read() as connection:
        rows = connection.execute(
            select(datums)
            .where(datums.c.execution_id == execution_id, datums.c.is_stored)
            .order_by(datums.c.name, datums.c.id)
        ).all()
        return _views(connection, rows)


def uses_of(world: World, datum_id: str, limit: int) -> list[AnyRow]:
    """Read the newest executions that had a datum as an input; the caller may read the datum."""
    columns = (executions.c[name] for name in ("id", "counter", "step", "status", "phase", "ctime"))
    with world.database.read() as connection:
        return list(
            connection.execute(
                select(*columns)
                .where(
                    executions.c.is_deleted.is_(False),
                    executions.c.id.in_(
                        select(datum_uses.c.execution_id).where(datum_uses.c.datum_id == datum_id)
                    ),
                )
                .order_by(executions.c.id.desc())
                .limit(limit)
            )
        )


def download_url(world: World, view: DatumView) -> str:
    """Sign a download that lives for an hour. Raises NotFound for purged bytes."""
    if view.row.is_purged:
        raise NotFound(f"The bytes of {view.row.name} were purged.")
    return world.store.get_url(
        view.row.key, ttl_s=DOWNLOAD_TTL_S, file_name=PurePosixPath(view.row.name).name
    )


def upload_address(world: World) -> str:
    """Give an address like those that uploads get, for a page that must name their host."""
    return world.store.put_url("page", ttl_s=1, size_bytes=0).url


def _scope(connection: Connection, caller: Caller, query: DatumQuery) -> ColumnElement[bool]:
    if query.execution_id is not None:
        project_id = connection.execute(
            select(executions.c.project_id).where(executions.c.id == query.execution_id)
        ).scalar()
        if project_id is None:
            raise NotFound("No such execution.")
        projects.authorise(connection, caller, project_id, Action.READ)
        return datums.c.execution_id == query.execution_id
    if query.project_id is not None:
        projects.authorise(connection, caller, query.project_id, Action.READ)
        return datums.c.project_id == query.project_id
    return datums.c.project_id.in_(projects.visible_ids(caller))


def _order(ordering: str) -> list[Any]:
    columns = [datums.c.name, datums.c.id] if ordering.lstrip("-") == "name" else [datums.c.id]
    return [column.desc() for column in columns] if ordering.startswith("-") else columns


def _views(connection: Connection, rows: Sequence[AnyRow]) -> list[DatumView]:
    if not rows:
        return []
    made_by = {row.execution_id for row in rows if row.execution_id is not None}
    counters: dict[str, int] = {}
    if made_by:
        for one in connection.execute(
            select(executions.c.id, executions.c.counter).where(executions.c.id.in_(made_by))
        ):
            counters[one.id] = one.counter
    aliases: dict[str, list[str]] = {}
    for one in connection.execute(
        select(datum_aliases.c.datum_id, datum_aliases.c.name)
        .where(datum_aliases.c.datum_id.in_([row.id for row in rows]))
        .order_by(datum_aliases.c.name)
    ):
        aliases.setdefault(one.datum_id, []).append(one.name)
    return [
        DatumView(row, counters.get(row.execution_id), tuple(aliases.get(row.id, ())))
        for row in rows
    ]


# -- uploading by hand, in two steps ------------------------------------------------------------
def start_upload(
    world: World, caller: Caller, project_id: str, file: tuple[str, int, str], now: datetime
) -> tuple[DatumView, SignedRequest]:
    """Promise a datum for (name, size in bytes, sha256) and sign where its bytes go.

    Raises Invalid. The datum is seen by nobody until `confirm_upload`.
    """
    name, size_bytes, sha256 = file
    errors = _file_faults(name, size_bytes, sha256)
    if errors:
        raise Invalid(*errors)
    datum_id = new_id(now)
    key = f"data/{project_id}/{datum_id}/{object_name(name)}"

    def work(connection: Connection) -> DatumView:
        projects.authorise(connection, caller, project_id, Action.RUN)
        connection.execute(
            insert(datums).values(
                id=datum_id,
                project_id=project_id,
                name=name,
                key=key,
                uri=world.store.uri_prefix + key,
                size_bytes=size_bytes,
                sha256=sha256,
                is_stored=False,
                creator_id=caller.user_id,
                ctime=now,
            )
        )
        audit.record(connection, caller, "datum.upload", name, project_id, {"id": datum_id}, now)
        row = connection.execute(select(datums).where(datums.c.id == datum_id)).one()
        return DatumView(row, None, ())

    view = world.database.write(work)
    return view, world.store.put_url(key, ttl_s=UPLOAD_TTL_S, size_bytes=size_bytes)


def confirm_upload(world: World, caller: Caller, datum_id: str, now: datetime) -> DatumView:
    """Make an uploaded datum real once its bytes are in the store; twice is fine."""
    with world.database.read() as connection:
        row = _authorised(connection, caller, datum_id, Action.RUN)
    if not row.is_stored:
        found = world.store.stat(row.key)
        if found is None:
            raise Conflict(f"The bytes of {row.name} are not in the store yet.")
        if found.size_bytes != row.size_bytes:
            raise Conflict(
                f"{row.name} should have {row.size_bytes} bytes, the store has {found.size_bytes}."
            )

        def work(connection: Connection) -> None:
            projects.authorise(connection, caller, row.project_id, Action.RUN)
            connection.execute(
                update(datums)
                .where(datums.c.id == datum_id, ~datums.c.is_stored)
                .values(is_stored=True)
            )
            audit.record(
                connection, caller, "datum.confirm", row.name, row.project_id, {"id": row.id}, now
            )

        world.database.write(work)
    return find(world, caller, datum_id)


def _file_faults(name: str, size_bytes: int, sha256: str) -> list[FieldError]:
    errors: list[FieldError] = []
    parts = name.split("/")
    if not name or len(name) > 1000 or any(part in ("", ".", "..") for part in parts):
        errors.append(FieldError("name", "A file name, or a relative path without ..", "required"))
    elif any(ord(letter) < 32 for letter in name):
        errors.append(FieldError("name", "A name has no control characters."))
    if not 0 <= size_bytes <= MAX_SIZE_BYTES:
        errors.append(FieldError("size", f"A number of bytes up to {MAX_SIZE_BYTES}."))
    if not _SHA256.fullmatch(sha256):
        errors.append(FieldError("sha256", "The SHA-256 of the bytes: 64 small hex digits."))
    return errors


def purge(
    world: World, caller: Caller, datum_id: str, now: datetime, *, force: bool = False
) -> DatumView:
    """Delete a datum's bytes and keep its record; again is fine.

    Raises Conflict for one that an alias names, unless forced (DT-5).
    """

    def work(connection: Connection) -> AnyRow:
        row = _authorised(connection, caller, datum_id, Action.RUN)
        if not row.is_stored:
            raise NotFound
        named = connection.execute(
            select(datum_aliases.c.name).where(datum_aliases.c.datum_id == datum_id)
        ).scalar()
        if named is not None and not force:
            raise Conflict(f"The alias {named!r} names this datum: move it first, or force.")
        changed = connection.execute(
            update(datums)
            .where(datums.c.id == datum_id, ~datums.c.is_purged)
            .values(is_purged=True)
        )
        if changed.rowcount:
            audit.record(
                connection, caller, "datum.purge", row.name, row.project_id, {"id": row.id}, now
            )
        return row

    row = world.database.write(work)
    world.store.delete(row.key)
    return find(world, caller, datum_id)


# -- aliases ------------------------------------------------------------------------------------
def list_aliases(
    world: World, caller: Caller, *, project_id: str | None, ordering: str, limit: int, offset: int
) -> list[AliasView]:
    """List aliases of a project, or of all the caller may read."""
    with world.database.read() as connection:
        where = datum_aliases.c.project_id.in_(projects.visible_ids(caller))
        if project_id is not None:
            projects.authorise(connection, caller, project_id, Action.READ)
            where = datum_aliases.c.project_id == project_id
        key = ordering.lstrip("-")
        column = datum_aliases.c[key if key in ("name", "mtime") else "id"]
        order = column.desc() if ordering.startswith("-") else column
        rows = connection.execute(
            select(datum_aliases).where(where).order_by(order).limit(limit).offset(offset)
        ).all()
        found = connection.execute(
            select(datums).where(datums.c.id.in_([row.datum_id for row in rows if row.datum_id]))
        ).all()
        views = {view.row.id: view for view in _views(connection, found)}
        return [AliasView(row, views.get(row.datum_id)) for row in rows]


def set_alias(world: World, caller: Caller, datum_id: str, name: str, now: datetime) -> DatumView:
    """Let an alias of the datum's project name this datum from now on."""
    name = name.removeprefix("datum://").strip()
    if not name or len(name) > 200 or "/" in name or _is_uuid(name):
        raise Invalid.one("name", "An alias is a word of at most 200 characters, without /.")

    def work(connection: Connection) -> None:
        row = _authorised(connection, caller, datum_id, Action.RUN)
        move_alias(connection, row.project_id, name, datum_id, now)
        audit.record(connection, caller, "alias.set", name, row.project_id, {"id": datum_id}, now)

    world.database.write(work)
    return find(world, caller, datum_id)


def resolve(world: World, caller: Caller, project_id: str, name: str) -> DatumView:
    """Find the datum that an alias of a project names. Raises NotFound."""
    with world.database.read() as connection:
        projects.authorise(connection, caller, project_id, Action.READ)
        row = resolve_reference(connection, caller, project_id, name)
        return _views(connection, [row])[0]


def resolve_reference(
    connection: Connection, caller: Caller, project_id: str, reference: str
) -> AnyRow:
    """Find what `datum://<id or alias>` means for a project: its alias, or any datum by id.

    A datum of another project is found when the caller may read that one. Raises NotFound.
    """
    name = reference.removeprefix("datum://")
    if _is_uuid(name):
        row = connection.execute(_stored().where(datums.c.id == name.lower())).first()
        if row is None:
            raise NotFound(f"There is no datum {name}.")
        if row.project_id != project_id:
            projects.authorise(connection, caller, row.project_id, Action.READ)
        return row
    row = connection.execute(
        _stored()
        .join(datum_aliases, datum_aliases.c.datum_id == datums.c.id)
        .where(datum_aliases.c.project_id == project_id, datum_aliases.c.name == name)
    ).first()
    if row is None:
        raise NotFound(f"There is no datum alias {name!r} in this project.")
    return row


def _stored() -> AnySelect:
    return select(datums).where(datums.c.is_stored)


def _authorised(connection: Connection, caller: Caller, datum_id: str, action: Action) -> AnyRow:
    row = connection.execute(select(datums).where(datums.c.id == datum_id)).first()
    if row is None:
        raise NotFound
    projects.authorise(connection, caller, row.project_id, action)
    return row


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
