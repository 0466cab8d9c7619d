"""The inputs of an execution: what its URIs mean, decided once, when it is created (DT-4)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Connection, select
from valohai_yaml.objs import Step

from control.database.rows import AnyRow
from control.database.tables.datums import datum_aliases, datums
from control.domain.errors import FieldError, Invalid, TemporaryError
from control.domain.names import file_name_of, number_clashes, without_password
from control.services.world import World

_PARAMETER = re.compile(r"\{parameter:([^{}]+)\}")
MAX_FILES = 100_000
"""Files that one wildcard may name."""


def resolve(
    world: World,
    project_id: str,
    step: Step,
    given: Mapping[str, Sequence[str]],
    parameters: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Turn URIs into files: one object an input with name, urls, download, input_id and files.

    An input that is not given takes its default; one given as an empty list has none. Raises
    Invalid with every fault, each at `inputs.<name>`.
    """
    errors = [
        FieldError(f"inputs.{name}", f"The step '{step.name}' has no such input.", "unknown")
        for name in given
        if name not in step.inputs
    ]
    resolved: list[dict[str, Any]] = []
    for name, declared in step.inputs.items():
        uris = [_filled(uri, parameters) for uri in _uris(given.get(name), declared.default)]
        if not uris and not declared.optional:
            errors.append(
                FieldError(f"inputs.{name}", "This input is required: give it a URI.", "required")
            )
            continue
        try:
            files = _files(world, project_id, uris, str(declared.keep_directories.value))
        except Invalid as invalid:
            errors += [
                FieldError(f"inputs.{name}", one.message, one.code) for one in invalid.errors
            ]
            continue
        if declared.filename and len(files) == 1:
            files[0]["name"] = declared.filename
        for file, unique in zip(files, number_clashes(one["name"] for one in files), strict=True):
            file["name"] = unique
        on_demand = str(getattr(declared.download, "value", declared.download)) == "on-demand"
        resolved.append(
            {
                "name": name,
                "urls": uris,
                "download": "on-demand" if on_demand else "always",
                "input_id": str(uuid.uuid4()) if on_demand else None,
                "files": files,
            }
        )
    if errors:
        raise Invalid(*errors)
    return resolved


def _uris(given: Sequence[str] | None, default: Any) -> list[str]:
    if given is None:
        given = [] if default is None else default
    uris: list[Any] = [given] if isinstance(given, str) else list(given or ())
    return [str(uri) for uri in uris if uri]


def _filled(uri: str, parameters: Mapping[str, Any]) -> str:
    return _PARAMETER.sub(lambda found: str(parameters.get(found[1], found[0])), uri)


def _files(world: World, project_id: str, uris: Sequence[str], keep: str) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = []
    for uri in uris:
        scheme = uri.partition("://")[0]
        if scheme == "datum":
            files.append(_datum(world, project_id, uri, keep))
        elif scheme in ("http", "https"):
            files.append({"name": file_name_of(uri), "uri": uri, "storage_uri": None})
        elif uri.startswith(world.store.uri_prefix):
            files += _objects(world, uri, keep)
        else:
            raise Invalid.one(
                "uri",
                f"'{without_password(uri)}' cannot be read here: use datum://, http(s):// or an "
                f"object of the store below {world.store.uri_prefix}.",
                "unsupported",
            )
    return files


def _datum(world: World, project_id: str, uri: str, keep: str) -> dict[str, Any]:
    wanted = uri.removeprefix("datum://")
    with world.database.read() as connection:
        row = _find_datum(connection, project_id, wanted)
    if row is None:
        raise Invalid.one("uri", f"There is no datum '{wanted}' in this project.", "does_not_exist")
    return {
        "name": row.name if keep == "full" else PurePosixPath(row.name).name,
        "uri": f"datum://{row.id}",
        "storage_uri": row.uri,
        "key": row.key,
        "datum_id": row.id,
        "size_bytes": row.size_bytes,
        "checksums": {
            kind: value
            for kind, value in (("md5", row.md5), ("sha1", row.sha1), ("sha256", row.sha256))
            if value
        },
        "metadata": [row.properties] if row.properties else [],
    }


def _find_datum(connection: Connection, project_id: str, wanted: str) -> AnyRow | None:
    usable = select(datums).where(
        datums.c.project_id == project_id,
        datums.c.is_stored.is_(True),
        datums.c.is_purged.is_(False),
    )
    row = connection.execute(usable.where(datums.c.id == wanted.lower())).first()
    if row is not None:
        return row
    alias = select(datum_aliases.c.datum_id).where(
        datum_aliases.c.project_id == project_id, datum_aliases.c.name == wanted
    )
    return connection.execute(usable.where(datums.c.id.in_(alias))).first()


def _objects(world: World, uri: str, keep: str) -> list[dict[str, Any]]:
    """Objects of the store by key or wildcard, for administrators' data beside ours."""
    key = uri.removeprefix(world.store.uri_prefix)
    if key.startswith(("code/", "logs/", "data/")):
        raise Invalid.one("uri", "This part of the store is Talkoot's own: use datum://.", "own")
    base = re.split(r"[*?]", key)[0]
    try:
        if base == key:
            found = world.store.stat(key)
            objects = [found] if found else []
        else:
            objects = [
                one
                for one in world.store.list(base)
                if fnmatchcase(one.key, key.replace("**", "*"))
            ][:MAX_FILES]
    except TemporaryError as error:
        raise Invalid.one("uri", f"The store does not answer: {error.message}", "store") from error
    if not objects:
        raise Invalid.one("uri", f"Nothing is stored at '{uri}'.", "does_not_exist")
    root = base.rpartition("/")[0]
    return [
        {
            "name": _kept(one.key, root, keep),
            "uri": world.store.uri_prefix + one.key,
            "storage_uri": world.store.uri_prefix + one.key,
            "key": one.key,
            "size_bytes": one.size_bytes,
        }
        for one in objects
    ]


def _kept(key: str, root: str, keep: str) -> str:
    if keep == "full":
        return key
    if keep == "suffix" and root:
        return key.removeprefix(f"{root}/")
    return PurePosixPath(key).name
