"""Packages: code that a client uploads instead of fetching it from Git."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, insert, select

from control.database.rows import AnyRow
from control.database.tables.projects import commits
from control.domain.archives import inspect_archive
from control.domain.errors import FieldError, Invalid, TooLarge
from control.domain.roles import Action, Caller
from control.services import audit
from control.services import commits as commit_service
from control.services import projects as project_service
from control.services.world import World

MAX_PACKAGE_BYTES = 1000 * 2**20
"""The clients' own limit (client-contract.md 2.4)."""
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class About:
    """What a client says of its package; `yaml_path` None means the project's."""

    description: str = ""
    yaml_path: str | None = None


def check_right(world: World, caller: Caller, project_id: str) -> None:
    """Check the caller's right before a long upload is read. Raises NotFound, Forbidden."""
    with world.database.read() as connection:
        project_service.authorise(connection, caller, project_id, Action.RUN)


def import_package(
    world: World, caller: Caller, project_id: str, stream: IO[bytes], about: About, now: datetime
) -> tuple[AnyRow, bool]:
    """Store a package and make it a commit: (the commit, whether it is new).

    Its identifier is `~` and the SHA-256 of its bytes; the same bytes again are the same commit.
    Raises Invalid for a hostile archive or a broken configuration, with every fault; then
    nothing has changed.
    """
    with world.database.read() as connection:
        project = project_service.authorise(connection, caller, project_id, Action.RUN)
    yaml_path = about.yaml_path or project.yaml_path
    faults = project_service.check_yaml_path(yaml_path)
    if faults:
        raise Invalid(*faults)
    with _copied(stream) as (path, sha256, size):
        config = _checked(path, yaml_path)
        key = f"code/{sha256}.tgz"
        if world.code_store.stat(key) is None:
            world.code_store.put(key, path)
    values: dict[str, Any] = {
        "project_id": project_id,
        "identifier": f"~{sha256}",
        "adhoc": True,
        "ref": "adhoc",
        "description": about.description[:2000],
        "commit_time": now,
        "ctime": now,
        "yaml_path": yaml_path,
        "config": config,
        "archive_key": key,
        "archive_sha256": sha256,
        "archive_size_bytes": size,
    }

    def work(connection: Connection) -> bool:
        project_service.authorise(connection, caller, project_id, Action.RUN)
        if not _insert(connection, values):
            return False
        audit.record(
            connection, caller, "commit.import", f"~{sha256}", project_id, {"size": size}, now
        )
        return True

    is_new = world.database.write(work)
    return commit_service.find(world, caller, f"~{sha256}", project_id=project_id), is_new


def _insert(connection: Connection, values: dict[str, Any]) -> bool:
    """Insert the commit; a known one stays as it is, for executions were made from it."""
    here = (commits.c.project_id == values["project_id"]) & (
        commits.c.identifier == values["identifier"]
    )
    if connection.execute(select(commits.c.id).where(here)).first() is not None:
        return False
    connection.execute(insert(commits).values(**values))
    return True


def _checked(path: Path, yaml_path: str) -> list[dict[str, Any]]:
    """Look through the package and read its configuration. Raises Invalid with all faults."""
    with path.open("rb") as stream:
        facts = inspect_archive(stream, yaml_path=yaml_path)
    config, errors = commit_service.parse_config(facts.yaml, yaml_path)
    if errors or config is None:
        raise Invalid(
            *(
                FieldError("config", f"{yaml_path}, {text}", "invalid_config")
                for text in commit_service.describe(errors)
            )
        )
    return config


@contextmanager
def _copied(stream: IO[bytes]) -> Iterator[tuple[Path, str, int]]:
    """Copy a stream to a file for a while: (path, SHA-256, size). Raises TooLarge."""
    digest, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(prefix="talkoot-package-", suffix=".tgz") as target:
        while piece := stream.read(_PIECE):
            size += len(piece)
            if size > MAX_PACKAGE_BYTES:
                raise TooLarge(f"A package has at most {MAX_PACKAGE_BYTES // 2**20} MiB.")
            digest.update(piece)
            target.write(piece)
        target.flush()
        yield Path(target.name), digest.hexdigest(), size
