"""Outputs of an execution: promised, uploaded straight to the store, then confirmed as datums."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from agent import wire
from control.database.ids import new_id
from control.database.rows import AnyRow
from control.database.tables.datums import datum_aliases, datums
from control.database.tables.executions import executions
from control.domain.errors import Conflict, Invalid, NotFound
from control.domain.names import object_name
from control.services.world import World

UPLOAD_TTL_S = 6 * 3600
"""Long enough for a big file on a slow line; an agent can ask again."""


def promise(
    world: World, attempt: AnyRow, files: Sequence[wire.OutputFile], now: datetime
) -> list[wire.Upload]:
    """Make a datum for each file and sign its upload; asked again, the same datum.

    Raises Invalid for a name that leaves the outputs directory.
    """
    for file in files:
        parts = PurePosixPath(file.name).parts
        if not parts or ".." in parts or file.name.startswith("/") or len(file.name) > 1000:
            raise Invalid.one("name", f"'{file.name}' is not a name of an output.")

    def work(connection: Connection) -> list[AnyRow]:
        known = {
            (row.name, row.sha256): row
            for row in connection.execute(
                select(datums).where(
                    datums.c.execution_id == attempt.execution_id,
                    datums.c.name.in_([file.name for file in files]),
                    datums.c.is_purged.is_(False),
                )
            )
        }
        for file in files:
            if (file.name, file.sha256) in known:
                continue
            values = _new_datum(world, attempt, file, now)
            known[file.name, file.sha256] = connection.execute(
                insert(datums).values(values).returning(datums)
            ).one()
        return [known[file.name, file.sha256] for file in files]

    return [_upload(world, row) for row in world.database.write(work)]


def _new_datum(
    world: World, attempt: AnyRow, file: wire.OutputFile, now: datetime
) -> dict[str, Any]:
    datum_id = new_id(now)
    key = f"data/{attempt.project_id}/{datum_id}/{object_name(file.name)}"
    return {
        "id": datum_id,
        "project_id": attempt.project_id,
        "name": file.name,
        "key": key,
        "uri": world.store.uri_prefix + key,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "md5": file.md5,
        "sha1": file.sha1,
        "is_stored": False,
        "execution_id": attempt.execution_id,
        "attempt_id": attempt.attempt_id,
        "ctime": now,
    }


def _upload(world: World, row: AnyRow) -> wire.Upload:
    if row.is_stored:
        return wire.Upload(row.name, row.id, "PUT", "", {}, is_stored=True)
    signed = world.store.put_url(row.key, ttl_s=UPLOAD_TTL_S, size_bytes=row.size_bytes)
    return wire.Upload(row.name, row.id, signed.method, signed.url, dict(signed.headers))


def confirm(
    world: World, attempt: AnyRow, datum_id: str, metadata: dict[str, Any], now: datetime
) -> None:
    """Make a promised datum real when its bytes are in the store; twice is fine."""
    with world.database.read() as connection:
        row = connection.execute(
            select(datums).where(
                datums.c.id == datum_id, datums.c.execution_id == attempt.execution_id
            )
        ).first()
    if row is None:
        raise NotFound("No such output of this execution.")
    if row.is_stored:
        # Properties may be written after the file was uploaded (client-contract.md 4.7).
        if metadata:
            world.database.write(lambda one: _apply(one, attempt, datum_id, metadata, now))
        return
    found = world.store.stat(row.key)
    if found is None or found.size_bytes != row.size_bytes:
        raise Conflict(f"The bytes of {row.name} are not in the store.")

    def work(connection: Connection) -> None:
        changed = connection.execute(
            update(datums)
            .where(datums.c.id == datum_id, datums.c.is_stored.is_(False))
            .values(is_stored=True)
        )
        if changed.rowcount != 1:
            return
        connection.execute(
            update(executions)
            .where(executions.c.id == attempt.execution_id)
            .values(output_count=executions.c.output_count + 1, mtime=now)
        )
        _apply(connection, attempt, datum_id, metadata, now)

    world.database.write(work)


def _apply(
    connection: Connection, attempt: AnyRow, datum_id: str, metadata: dict[str, Any], now: datetime
) -> None:
    connection.execute(update(datums).where(datums.c.id == datum_id).values(**describe(metadata)))
    alias = metadata.get("valohai.alias")
    if isinstance(alias, str) and alias:
        move_alias(connection, attempt.project_id, alias, datum_id, now)


def describe(metadata: dict[str, Any]) -> dict[str, Any]:
    """Split a side-car's object into tags and properties (client-contract.md 4.7)."""
    tags = metadata.get("valohai.tags")
    reserved = ("valohai.tags", "valohai.alias")
    return {
        "tags": [str(tag) for tag in tags] if isinstance(tags, list) else [],
        "properties": {key: value for key, value in metadata.items() if key not in reserved},
    }


def move_alias(
    connection: Connection, project_id: str, name: str, datum_id: str, now: datetime
) -> None:
    """Let an alias name this datum from now on."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(
        dialect.insert(datum_aliases)
        .values(
            id=new_id(now),
            project_id=project_id,
            name=name.removeprefix("datum://")[:200],
            datum_id=datum_id,
            ctime=now,
            mtime=now,
        )
        .on_conflict_do_update(
            index_elements=["project_id", "name"], set_={"datum_id": datum_id, "mtime": now}
        )
    )
