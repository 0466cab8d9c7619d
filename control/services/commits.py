"""Commits: snapshots of a project's code, from Git or from a package."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from valohai_yaml.objs import Step

from control.database.rows import AnyRow, AnySelect
from control.database.tables.projects import commit_refs, commits
from control.domain.errors import Invalid, NotFound, PermanentError
from control.domain.ports import FetchedCommit
from control.domain.roles import Action, Caller
from control.domain.steps import ConfigItems, find_step, read_config
from control.services import projects as project_service
from control.services.world import World

CONFIGS_AT_FETCH = 50
"""So many commits of a ref are read and checked at a fetch; older ones when they are needed."""

_HEX = re.compile(r"[0-9a-f]{4,64}")
_PACKAGE = re.compile(r"~[0-9a-f]{4,64}")
MAX_STEPS_KEPT = 1000

_has_config = commits.c.config.is_not(None).label("has_config")
WITHOUT_CONFIG = (*(c for c in commits.c if c.name not in ("config", "config_errors")), _has_config)
"""The columns of a commit that are cheap to read."""


_BY_IDENTIFIER = select(*WITHOUT_CONFIG).where(
    commits.c.project_id == bindparam("project_id"), commits.c.identifier == bindparam("lookup")
)
_BY_REF = (
    select(*WITHOUT_CONFIG)
    .join(commit_refs, commit_refs.c.commit_id == commits.c.id)
    .where(
        commit_refs.c.project_id == bindparam("project_id"),
        commit_refs.c.ref == bindparam("lookup"),
    )
)
"""Written once: every submit asks one of them."""


@dataclass(frozen=True, slots=True)
class CommitQuery:
    """A filter over commits of the caller's projects."""

    project_id: str | None = None
    adhoc: bool | None = None
    ordering: str = "-commit_time"  # commit_time, -commit_time, ctime, -ctime
    limit: int = 1000
    offset: int = 0
    wants_count: bool = True


@dataclass(frozen=True, slots=True)
class NewCommit:
    """A fetched commit and what its configuration says; not read yet: both None."""

    fetched: FetchedCommit
    config: ConfigItems | None = None
    errors: list[dict[str, Any]] | None = field(default=None)


# -- looking up ---------------------------------------------------------------------------------
def find(world: World, caller: Caller, lookup: str, *, project_id: str | None = None) -> AnyRow:
    """Find a commit the caller may read by hash, ~hash, internal id, ref or prefix.

    Without a project the newest that matches is taken. Raises NotFound.
    """
    with world.database.read() as connection:
        if project_id is not None:
            project_service.authorise(connection, caller, project_id, Action.READ)
            where = commits.c.project_id == project_id
        else:
            where = commits.c.project_id.in_(project_service.visible_ids(caller))
        row = _look_up(connection, lookup, where)
    if row is None:
        raise NotFound(f"No commit '{lookup}'.")
    return row


def resolve(connection: Connection, project_id: str, lookup: str) -> AnyRow:
    """Find the commit that a request of this project names. Raises Invalid at `commit`."""
    if lookup.startswith("library:"):
        raise Invalid.one("commit", "There is no shared library of steps here.", "unsupported")
    plain = {"project_id": project_id, "lookup": lookup}
    row = connection.execute(_BY_IDENTIFIER if len(lookup) >= 40 else _BY_REF, plain).first()
    if row is None:
        row = _look_up(connection, lookup, commits.c.project_id == project_id)
    if row is None:
        raise Invalid.one(
            "commit",
            f"No commit '{lookup}' in this project: fetch the repository first.",
            "does_not_exist",
        )
    return row


def list_page(world: World, caller: Caller, query: CommitQuery) -> tuple[list[AnyRow], int]:
    """List commits, newest first unless said otherwise: (rows, count or -1)."""
    with world.database.read() as connection:
        where: ColumnElement[bool]
        if query.project_id is not None:
            project_service.authorise(connection, caller, query.project_id, Action.READ)
            where = commits.c.project_id == query.project_id
        else:
            where = commits.c.project_id.in_(project_service.visible_ids(caller))
        if query.adhoc is not None:
            where = and_(where, commits.c.adhoc == query.adhoc)
        rows = list(
            connection.execute(
                select(*WITHOUT_CONFIG)
                .where(where)
                .order_by(*_order(query.ordering))
                .limit(query.limit)
                .offset(query.offset)
            )
        )
        total = query.offset + len(rows)
        if query.wants_count and len(rows) == query.limit:
            total = connection.execute(
                select(func.count()).select_from(commits).where(where)
            ).scalar_one()
        return rows, total


def _order(ordering: str) -> list[Any]:
    column = commits.c.ctime if ordering.lstrip("-") == "ctime" else commits.c.commit_time
    if ordering.startswith("-"):
        return [column.desc(), commits.c.id.desc()]
    return [column, commits.c.id]


def _look_up(connection: Connection, lookup: str, where: ColumnElement[bool]) -> AnyRow | None:
    found: AnyRow | None = None
    for condition in _conditions(lookup):
        found = connection.execute(_newest().where(where, condition)).first()
        if found is not None:
            return found
    at_ref = (
        select(commit_refs.c.commit_id)
        .join(commits, commits.c.id == commit_refs.c.commit_id)
        .where(where, commit_refs.c.ref == lookup)
    )
    found = connection.execute(_newest().where(commits.c.id.in_(at_ref))).first()
    if found is None and (_HEX.fullmatch(lookup) or _PACKAGE.fullmatch(lookup)):
        found = connection.execute(
            _newest().where(where, commits.c.identifier.startswith(lookup, autoescape=True))
        ).first()
    return found


def _conditions(lookup: str) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [commits.c.identifier == lookup]
    if lookup.isascii() and lookup.isdigit() and len(lookup) <= 9:
        conditions.insert(0, commits.c.id == int(lookup))
    return conditions


def _newest() -> AnySelect:
    return (
        select(*WITHOUT_CONFIG).order_by(commits.c.commit_time.desc(), commits.c.id.desc()).limit(1)
    )


# -- configuration ------------------------------------------------------------------------------
def config_of(world: World, row: AnyRow) -> tuple[ConfigItems | None, list[dict[str, Any]]]:
    """Read a commit's configuration and its faults; from Git the first time it is needed.

    Call it outside a connection: it may run git.
    """
    with world.database.read() as connection:
        stored = connection.execute(
            select(commits.c.config, commits.c.config_errors).where(commits.c.id == row.id)
        ).first()
    if stored is None:
        raise NotFound
    if stored.config is not None or stored.config_errors is not None or row.adhoc:
        return stored.config, stored.config_errors or []
    config, errors = _read_config(world, row.project_id, row.identifier, row.yaml_path)
    world.database.write(
        lambda connection: connection.execute(
            update(commits)
            .where(commits.c.id == row.id, commits.c.yaml_path == row.yaml_path)
            .values(config=config, config_errors=errors)
        )
    )
    return config, errors


_steps: dict[tuple[str, int, str, str], Step] = {}


def known_step(row: AnyRow, name: str) -> Step | None:
    """The step if it was parsed before in this process; asks nobody."""
    return _steps.get((row.project_id, row.id, row.yaml_path, name))


def step_of(world: World, row: AnyRow, name: str) -> Step:
    """Parse a step of a commit; kept, for the submit path asks for the same one again and again.

    Call it outside a connection. Raises Invalid at `step`, or at `commit` for a broken file.
    """
    key = (row.project_id, row.id, row.yaml_path, name)
    step = _steps.get(key)
    if step is not None:
        return step
    config, errors = config_of(world, row)
    short = row.identifier[:10]
    if config is None and errors:
        raise Invalid.one(
            "commit",
            f"{row.yaml_path} of commit {short} has errors: {'; '.join(describe(errors))}",
            "invalid_config",
        )
    step = find_step(config, name, source=f"{row.yaml_path} of commit {short}")
    if len(_steps) >= MAX_STEPS_KEPT:
        _steps.clear()
    _steps[key] = step
    return step


def describe(errors: Sequence[dict[str, Any]]) -> list[str]:
    """Write faults as `line 3: …`."""
    return [
        f"line {error['line']}: {error['message']}" if error.get("line") else error["message"]
        for error in errors
    ]


def _read_config(
    world: World, mirror: str, identifier: str, yaml_path: str
) -> tuple[ConfigItems | None, list[dict[str, Any]]]:
    try:
        body = world.git.read_file(mirror, identifier, yaml_path)
    except PermanentError as error:
        return None, [{"message": error.message, "line": 0, "column": 0}]
    return parse_config(body, yaml_path)


def parse_config(
    body: bytes | None, yaml_path: str
) -> tuple[ConfigItems | None, list[dict[str, Any]]]:
    """Read the bytes of a configuration file, None when there is none."""
    if body is None:
        return None, [{"message": f"There is no {yaml_path}.", "line": 0, "column": 0}]
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None, [{"message": f"{yaml_path} is not UTF-8 text.", "line": 0, "column": 0}]
    return read_config(text)


# -- fetching (repositories.fetch is the way in) ------------------------------------------------
def read_new(world: World, project: AnyRow, fetched: Sequence[FetchedCommit]) -> list[NewCommit]:
    """Pick the commits that are not stored yet and read the newest ones' configuration."""
    with world.database.read() as connection:
        known = set(
            connection.execute(
                select(commits.c.identifier).where(
                    commits.c.project_id == project.id,
                    commits.c.identifier.in_({one.identifier for one in fetched}),
                )
            ).scalars()
        )
    new: list[NewCommit] = []
    seen: dict[str, int] = {}
    for one in fetched:
        seen[one.ref] = seen.get(one.ref, 0) + 1
        if one.identifier in known:
            continue
        known.add(one.identifier)
        if seen[one.ref] <= CONFIGS_AT_FETCH:
            config, errors = _read_config(world, project.id, one.identifier, project.yaml_path)
            new.append(NewCommit(one, config, errors))
        else:
            new.append(NewCommit(one))
    return new


def store_new(
    connection: Connection,
    project: AnyRow,
    new: Sequence[NewCommit],
    fetched: Sequence[FetchedCommit],
    now: datetime,
) -> list[tuple[str, str]]:
    """Insert new commits and move the refs; one that somebody else inserted is left alone."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    stored: list[tuple[str, str]] = []
    for one in reversed(new):  # the newest gets the highest id
        inserted = connection.execute(
            dialect.insert(commits)
            .values(
                project_id=project.id,
                identifier=one.fetched.identifier,
                adhoc=False,
                ref=one.fetched.ref,
                description=one.fetched.message,
                commit_time=datetime.fromisoformat(one.fetched.commit_time),
                ctime=now,
                yaml_path=project.yaml_path,
                config=one.config,
                config_errors=one.errors,
            )
            .on_conflict_do_nothing(index_elements=["project_id", "identifier"])
            .returning(commits.c.id)
        )
        if inserted.first() is not None:
            stored.insert(0, (one.fetched.ref, one.fetched.identifier))
    for ref, identifier in _tips(fetched).items():
        commit_id = connection.execute(
            select(commits.c.id).where(
                commits.c.project_id == project.id, commits.c.identifier == identifier
            )
        ).scalar_one()
        connection.execute(
            dialect.insert(commit_refs)
            .values(project_id=project.id, ref=ref, commit_id=commit_id)
            .on_conflict_do_update(
                index_elements=["project_id", "ref"], set_={"commit_id": commit_id}
            )
        )
    return stored


def warnings_of(world: World, project_id: str, fetched: Sequence[FetchedCommit]) -> tuple[str, ...]:
    """Say what is wrong with the configuration at the tip of each ref, all of it."""
    tips = _tips(fetched)
    with world.database.read() as connection:
        rows = connection.execute(
            select(commits.c.identifier, commits.c.yaml_path, commits.c.config_errors).where(
                commits.c.project_id == project_id, commits.c.identifier.in_(set(tips.values()))
            )
        ).all()
    faults = {row.identifier: row for row in rows if row.config_errors}
    return tuple(
        f"{ref} ({identifier[:10]}): {faults[identifier].yaml_path}, {text}"
        for ref, identifier in tips.items()
        if identifier in faults
        for text in describe(faults[identifier].config_errors)
    )


def _tips(fetched: Sequence[FetchedCommit]) -> dict[str, str]:
    tips: dict[str, str] = {}
    for one in fetched:
        tips.setdefault(one.ref, one.identifier)
    return tips


# -- the code archive ---------------------------------------------------------------------------
def ensure_archive(world: World, row: AnyRow) -> tuple[str, str, int]:
    """Make the archive of a commit's tree once and store it: (key, sha256, size).

    Call it outside a connection: it may run git and write to the store. Idempotent.
    """
    if row.archive_key is not None:
        return row.archive_key, row.archive_sha256, row.archive_size_bytes
    with tempfile.TemporaryDirectory(prefix="talkoot-archive-") as directory:
        target = Path(directory) / "code.tar.gz"
        world.git.archive(row.project_id, row.identifier, target)
        with target.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        size = target.stat().st_size
        key = f"code/{sha256}.tar.gz"
        if world.code_store.stat(key) is None:
            world.code_store.put(key, target)
    world.database.write(
        lambda connection: connection.execute(
            update(commits)
            .where(commits.c.id == row.id, commits.c.archive_key.is_(None))
            .values(archive_key=key, archive_sha256=sha256, archive_size_bytes=size)
        )
    )
    return key, sha256, size
