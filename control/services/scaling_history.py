"""Decisions on the size of worker groups, as lists with reasons and as lines of a chart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter

from sqlalchemy import BigInteger, Connection, cast, extract, func, select, union_all

from control.database.rows import AnyRow, AnySelect
from control.database.tables.worker_groups import scaling_decisions, worker_groups
from control.services.world import World

MOST_POINTS = 240
"""Points of a chart's line: about three pixels each."""

VALUES: tuple[str, ...] = ("queued", "wanted", "live", "busy")


def page_of_decisions(
    world: World, group_id: str, *, before: str | None, limit: int
) -> list[AnyRow]:
    """List a group's decisions, newest first; `before` is the id that ended the last page."""
    query = select(scaling_decisions).where(scaling_decisions.c.group_id == group_id)
    if before is not None:
        query = query.where(scaling_decisions.c.id < before)
    with world.database.read() as connection:
        return list(connection.execute(query.order_by(scaling_decisions.c.id.desc()).limit(limit)))


def newest_decisions(world: World, group_ids: Sequence[str], *, limit: int) -> list[AnyRow]:
    """List the newest decisions of several groups, newest first; each also has `group`, a name."""
    if not group_ids:
        return []
    each = union_all(*(_newest(group_id, limit).subquery().select() for group_id in group_ids))
    found = each.subquery()
    query = (
        select(found, worker_groups.c.name.label("group"))
        .join(worker_groups, worker_groups.c.id == found.c.group_id)
        .order_by(found.c.time.desc(), found.c.id.desc())
        .limit(limit)
    )
    with world.database.read() as connection:
        return list(connection.execute(query))


def _newest(group_id: str, limit: int, until: datetime | None = None) -> AnySelect:
    query = select(scaling_decisions).where(scaling_decisions.c.group_id == group_id)
    if until is not None:
        query = query.where(scaling_decisions.c.time < until)
    return query.order_by(scaling_decisions.c.time.desc()).limit(limit)


@dataclass(frozen=True, slots=True)
class Lines:
    """Step lines: from `times[i]` on, `values[name][i]` holds. None: nothing is known yet."""

    times: tuple[datetime, ...]
    values: Mapping[str, tuple[int | None, ...]]  # by VALUES
    decisions: int  # that the lines stand for


def lines(
    world: World,
    group_ids: Sequence[str],
    since: datetime,
    until: datetime,
    *,
    most: int = MOST_POINTS,
) -> Lines:
    """Draw the sizes of groups together, in at most `most` points.

    Each point has the greatest value of its stretch of time, so that no peak is lost, and the next
    one begins with what held at the end. Groups of an environment share its queue: of `queued` the
    greatest counts, the others are added up.
    """
    step = max(1, math.ceil((until - since).total_seconds() / (most - 2)))
    begin = math.floor(since.timestamp() / step) * step  # a grid that the next look has too
    count = max(1, math.ceil((until.timestamp() - begin) / step))
    with world.database.read() as connection:
        before = _at(connection, group_ids, since)
        buckets = _buckets(connection, group_ids, since, until, (begin, step))
    each = [_fill(count, before.get(one), buckets.get(one, {})) for one in group_ids]
    decisions = sum(row.decisions for found in buckets.values() for row in found.values())
    times = tuple(datetime.fromtimestamp(begin + at * step, UTC) for at in range(count))
    points = [_together([line[at] for line in each]) for at in range(count)]
    values = dict(zip(VALUES, zip(*points, strict=True), strict=True))
    return Lines(times, values, decisions)


def _at(connection: Connection, group_ids: Sequence[str], moment: datetime) -> dict[str, AnyRow]:
    """Read what held at a moment, by group."""
    if not group_ids:
        return {}
    each = union_all(*(_newest(one, 1, moment).subquery().select() for one in group_ids))
    return {row.group_id: row for row in connection.execute(each)}


Buckets = dict[str, dict[int, AnyRow]]


def _buckets(
    connection: Connection,
    group_ids: Sequence[str],
    since: datetime,
    until: datetime,
    grid: tuple[int, int],
) -> Buckets:
    """Read the peaks and the last values, by group and number of the bucket."""
    begin, step = grid
    table = scaling_decisions
    seconds = cast(extract("epoch", table.c.time), BigInteger)
    bucket = ((seconds - begin) // step).label("bucket")
    grouped = (
        select(
            table.c.group_id,
            bucket,
            func.count().label("decisions"),
            func.max(table.c.id).label("last_id"),
            *(func.max(table.c[name]).label(f"most_{name}") for name in VALUES),
        )
        .where(table.c.group_id.in_(group_ids), table.c.time >= since, table.c.time <= until)
        .group_by(table.c.group_id, bucket)
        .subquery()
    )
    rows = connection.execute(
        select(grouped, *(table.c[name] for name in VALUES)).join(
            table, table.c.id == grouped.c.last_id
        )
    ).all()
    found: Buckets = {}
    for row in rows:
        found.setdefault(row.group_id, {})[row.bucket] = row
    return found


def _fill(
    count: int, before: AnyRow | None, buckets: Mapping[int, AnyRow]
) -> list[tuple[int, ...] | None]:
    """Give every bucket its values: the peaks of those with rows, what held of the others."""
    held = _held(before) if before is not None else None
    line: list[tuple[int, ...] | None] = [held] * count
    last = 0
    for at in sorted(buckets):
        row = buckets[at]
        line[last:at] = [held] * (at - last)
        line[at] = _peaks(row)
        held, last = _held(row), at + 1
    line[last:] = [held] * (count - last)
    return line


_held = attrgetter(*VALUES)
_peaks = attrgetter(*(f"most_{name}" for name in VALUES))


def _together(points: Sequence[tuple[int, ...] | None]) -> tuple[int | None, ...]:
    known = [point for point in points if point is not None]
    if not known:
        return (None,) * len(VALUES)
    queued, *others = zip(*known, strict=True)
    return (max(queued), *(sum(one) for one in others))
