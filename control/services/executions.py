"""Executions: finding, listing, stopping, deleting them. Making one is in `submissions`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Text, func, or_, select, type_coerce, update

from control.database.rows import AnyRow, AnySelect
from control.database.tables.environments import environments
from control.database.tables.executions import (
    executions,
)
from control.database.tables.executions import metadata_points as point_rows
from control.database.tables.executions import phases as phase_rows
from control.database.tables.people import users
from control.database.tables.projects import commits, projects
from control.domain.errors import Conflict, NotFound, TemporaryError
from control.domain.executions import ExecutionQuery
from control.domain.placement import place
from control.domain.roles import Action, Caller
from control.domain.states import FINAL, Status
from control.services import audit, logs, queueing, transitions
from control.services.projects import authorise, visible_ids
from control.services.world import World

_COMMIT_COLUMNS = [column for column in commits.c if column.name not in ("config", "config_errors")]


@dataclass(frozen=True, slots=True)
class ExecutionView:
    """An execution with what stands around it."""

    row: AnyRow
    project: AnyRow
    owner: AnyRow
    commit: AnyRow  # without config
    environment: AnyRow
    creator: AnyRow


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list; `count` is None when it was not asked for or not kept."""

    views: Sequence[ExecutionView]
    count: int | None


# -- reading -----------------------------------------------------------------------------------
def find(
    world: World, caller: Caller, lookup: str, *, action: Action = Action.READ
) -> ExecutionView:
    """Find by id, `<project id>:<counter>` or `<project id>:latest`. Raises NotFound, Forbidden."""
    with world.database.read() as connection:
        row = connection.execute(_by_lookup(lookup)).first()
        if row is None or row.is_deleted:
            raise NotFound
        authorise(connection, caller, row.project_id, action)
        return _views(connection, [row])[0]


def _by_lookup(lookup: str) -> AnySelect:
    project_id, colon, counter = lookup.partition(":")
    if not colon:
        return select(executions).where(executions.c.id == lookup)
    of_project = select(executions).where(executions.c.project_id == project_id)
    if counter == "latest":
        return (
            of_project.where(executions.c.is_deleted.is_(False))
            .order_by(executions.c.counter.desc())
            .limit(1)
        )
    number = int(counter) if counter.isdecimal() and len(counter) < 10 else 0
    return of_project.where(executions.c.counter == number)


def list_page(world: World, caller: Caller, query: ExecutionQuery) -> Page:
    """List executions of the caller's projects."""
    with world.database.read() as connection:
        if query.project_id:
            authorise(connection, caller, query.project_id, Action.READ)
        rows = connection.execute(_filtered(caller, query)).all()
        count = _count(connection, query) if query.wants_count else None
        return Page(_views(connection, rows), count)


def newest_of(world: World, project_ids: Sequence[str], limit: int) -> dict[str, list[AnyRow]]:
    """Read how the newest executions of many projects went, newest first.

    The ids are those of projects that the caller may read; a project without any is left out.
    """
    newest = (
        select(executions.c.counter)
        .where(executions.c.project_id == projects.c.id, executions.c.is_deleted.is_(False))
        .order_by(executions.c.counter.desc())
    )
    oldest_shown = newest.limit(1).offset(limit - 1).correlate(projects).scalar_subquery()
    wanted = (
        select(*(executions.c[name] for name in _GLANCE))
        .join(projects, projects.c.id == executions.c.project_id)
        .where(
            projects.c.id.in_(project_ids),
            executions.c.is_deleted.is_(False),
            executions.c.counter >= func.coalesce(oldest_shown, 0),
        )
        .order_by(executions.c.counter.desc())
    )
    found: dict[str, list[AnyRow]] = {}
    with world.database.read() as connection:
        for row in connection.execute(wanted):
            found.setdefault(row.project_id, []).append(row)
    return found


_GLANCE = ("project_id", "id", "counter", "step", "status", "phase", "ctime", "end_time")


def _filtered(caller: Caller, query: ExecutionQuery) -> AnySelect:
    where: list[Any] = [executions.c.is_deleted.is_(query.is_deleted)]
    if query.project_id:
        where.append(executions.c.project_id == query.project_id)
    else:
        where.append(executions.c.project_id.in_(visible_ids(caller)))
    if query.statuses:
        where.append(executions.c.status.in_(query.statuses))
    if query.counters:
        where.append(executions.c.counter.in_(query.counters))
    if query.creator_id is not None:
        where.append(executions.c.creator_id == query.creator_id)
    where += _by_text(query)
    if query.before_counter is not None:
        where.append(executions.c.counter < query.before_counter)
    column = executions.c.counter if "counter" in query.ordering else executions.c.id
    order = column.desc() if query.ordering.startswith("-") else column.asc()
    statement = select(executions).where(*where).order_by(order, executions.c.id.desc())
    return statement.limit(query.limit).offset(query.offset)


def _by_text(query: ExecutionQuery) -> list[Any]:
    where: list[Any] = []
    if query.step:
        where.append(executions.c.step == query.step)
    if query.environment:
        of_name = or_(
            environments.c.id == query.environment, environments.c.slug == query.environment
        )
        where.append(executions.c.environment_id.in_(select(environments.c.id).where(of_name)))
    if query.tag:
        tag = orjson.dumps(query.tag).decode()
        where.append(type_coerce(executions.c.tags, Text).contains(tag, autoescape=True))
    if query.text:
        where.append(
            or_(
                executions.c.title.icontains(query.text, autoescape=True),
                executions.c.step.icontains(query.text, autoescape=True),
            )
        )
    return where


def _count(connection: Connection, query: ExecutionQuery) -> int | None:
    """Answer the kept counts where they answer the question; None where they do not."""
    filtered = (query.counters, query.creator_id, query.step, query.environment, query.tag)
    if not query.project_id or query.is_deleted or any(filtered) or query.text:
        return None
    counts = transitions.counts_of(connection, [query.project_id]).get(query.project_id)
    if counts is None:
        return 0
    return sum(counts[status] for status in query.statuses or tuple(Status))


def _views(connection: Connection, rows: Sequence[AnyRow]) -> list[ExecutionView]:
    """Read what stands around a page of executions: one query a table, not one a row."""
    if not rows:
        return []
    of_project = _by_id(connection, projects, {row.project_id for row in rows})
    people = {row.creator_id for row in rows} | {one.owner_id for one in of_project.values()}
    of_user = _by_id(connection, users, people)
    of_environment = _by_id(connection, environments, {row.environment_id for row in rows})
    of_commit = {
        one.id: one
        for one in connection.execute(
            select(*_COMMIT_COLUMNS).where(commits.c.id.in_({row.commit_id for row in rows}))
        )
    }
    return [
        ExecutionView(
            row=row,
            project=of_project[row.project_id],
            owner=of_user[of_project[row.project_id].owner_id],
            commit=of_commit[row.commit_id],
            environment=of_environment[row.environment_id],
            creator=of_user[row.creator_id],
        )
        for row in rows
    ]


def _by_id(connection: Connection, table: Any, ids: set[Any]) -> dict[Any, AnyRow]:
    return {row.id: row for row in connection.execute(select(table).where(table.c.id.in_(ids)))}


def clocks(world: World, execution_id: str) -> AnyRow | None:
    """Read status and log numbers alone; for streams."""
    with world.database.read() as connection:
        return connection.execute(
            select(executions.c.status, executions.c.log_received, executions.c.log_stored).where(
                executions.c.id == execution_id
            )
        ).first()


def phases(world: World, execution_id: str) -> list[AnyRow]:
    """The phases of the newest attempt that has any, in the order they began."""
    with world.database.read() as connection:
        rows = connection.execute(
            select(phase_rows)
            .where(phase_rows.c.execution_id == execution_id)
            .order_by(phase_rows.c.attempt_number, phase_rows.c.started_at)
        ).all()
    return [row for row in rows if row.attempt_number == rows[-1].attempt_number]


def metadata_points(world: World, execution_id: str) -> list[dict[str, Any]]:
    """Metadata points, oldest first; each an object with its time in `_time`."""
    with world.database.read() as connection:
        rows = connection.execute(
            select(point_rows.c.time, point_rows.c["values"])
            .where(point_rows.c.execution_id == execution_id)
            .order_by(point_rows.c.number)
        ).all()
    return [{**row[1], "_time": f"{row.time:%Y-%m-%dT%H:%M:%S.%f}"} for row in rows]


def wait_reason(world: World, view: ExecutionView, now: datetime) -> str | None:
    """Say why an execution waits, in the words of the function that places it; else None."""
    if Status(view.row.status) not in (Status.CREATED, Status.QUEUED):
        return None
    with world.database.read() as connection:
        seen = queueing.circumstances(connection, view.environment, view.row.creator_id, now)
    if view.row.status == Status.CREATED:
        return place(seen).reason
    try:
        position = world.queue.position(view.environment.id, view.row.id)
        depth = world.queue.depth(view.environment.id)
    except TemporaryError:
        position, depth = None, 0
    queued = replace(seen, owner_quota=0, position=position, depth=depth)
    return place(queued).reason


# -- changing ----------------------------------------------------------------------------------
def request_stop(world: World, caller: Caller, view: ExecutionView, now: datetime) -> str:
    """Stop an execution in whatever state it is; again while it stops: without grace (EX-2)."""

    def work(connection: Connection) -> tuple[str, Status | None]:
        authorise(connection, caller, view.row.project_id, Action.RUN)
        row = connection.execute(select(executions).where(executions.c.id == view.row.id)).one()
        if Status(row.status) in FINAL:
            return f"Execution #{row.counter} has ended already ({row.status}).", None
        asked = {"stop_requested_at": now, "stop_requested_by": caller.username}
        audit.record(
            connection, caller, "execution.stop", f"#{row.counter}", row.project_id, None, now
        )
        if row.status == Status.STOPPING:
            _stop_harder(connection, row, now)
            return f"Execution #{row.counter} is being stopped without grace.", None
        if row.status == Status.STARTED:
            _change(connection, row, Status.STOPPING, now, {"stop_count": 1, **asked})
            return f"Stopping execution #{row.counter}.", Status.STOPPING
        sentence = f"Stopped by {caller.username} before it started."
        ended = {"reason": "stopped_by_user", "sentence": sentence, **asked}
        _change(connection, row, Status.STOPPED, now, ended)
        return f"Stopped execution #{row.counter} before it started.", Status.STOPPED

    message, became = world.database.write(work)
    if became is Status.STOPPED:
        _end_unstarted(world, find(world, caller, view.row.id), now)
    queueing.announce(world, view.row.project_id, view.row.id)
    return message


def _change(
    connection: Connection, row: AnyRow, to: Status, now: datetime, values: dict[str, Any]
) -> None:
    if not transitions.change_status(connection, row, to, now, **values):
        raise Conflict("The execution changed at this moment; ask again.")


def _stop_harder(connection: Connection, row: AnyRow, now: datetime) -> None:
    connection.execute(
        update(executions)
        .where(executions.c.id == row.id, executions.c.status == Status.STOPPING)
        .values(stop_count=executions.c.stop_count + 1, mtime=now)
    )


def _end_unstarted(world: World, view: ExecutionView, now: datetime) -> None:
    """Take a stopped execution out of the queue, say so in its log, let the next one in."""
    queueing.discard(world, view.environment.id, [view.row.id])
    if view.row.attempt_id is None and view.row.log_received == view.row.log_stored:
        logs.append_own(world, view.row.id, [str(view.row.sentence)], now)
        queueing.forget_tail(world, view.row.id, logs.TAIL_LIFE_S)
    queueing.admit_held(world, view.environment.id, now)


def delete(world: World, caller: Caller, view: ExecutionView, now: datetime) -> None:
    """Hide an execution that has ended; its datums stay. Raises Conflict while it runs."""
    if Status(view.row.status) not in FINAL:
        raise Conflict(f"Stop execution #{view.row.counter} before you delete it.")

    def work(connection: Connection) -> None:
        authorise(connection, caller, view.row.project_id, Action.RUN)
        hidden = connection.execute(
            update(executions)
            .where(executions.c.id == view.row.id, executions.c.is_deleted.is_(False))
            .values(is_deleted=True, mtime=now)
        )
        if hidden.rowcount != 1:
            raise NotFound
        transitions.count(
            connection, {(view.row.project_id, view.row.environment_id, view.row.status): -1}
        )
        subject = f"#{view.row.counter}"
        audit.record(
            connection, caller, "execution.delete", subject, view.row.project_id, None, now
        )

    world.database.write(work)
    logs.delete_all(world, view.row.id)


def add_tags(
    world: World, caller: Caller, view: ExecutionView, tags: Sequence[str], now: datetime
) -> list[str]:
    """Add tags; what is there stays. The tags there are now."""

    def work(connection: Connection) -> list[str]:
        authorise(connection, caller, view.row.project_id, Action.RUN)
        old = connection.execute(
            select(executions.c.tags).where(executions.c.id == view.row.id)
        ).scalar_one()
        all_tags = list(dict.fromkeys([*old, *tags]))
        connection.execute(
            update(executions)
            .where(executions.c.id == view.row.id)
            .values(tags=all_tags, mtime=now)
        )
        subject = f"#{view.row.counter}"
        audit.record(connection, caller, "execution.tag", subject, view.row.project_id, None, now)
        return all_tags

    return world.database.write(work)


def counts_by_status(world: World, project_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Kept counts: project id to status to number."""
    with world.database.read() as connection:
        return {
            key: dict(value)
            for key, value in transitions.counts_of(connection, project_ids).items()
        }
