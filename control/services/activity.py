"""How much was asked for lately, at a cost that does not grow with the number of executions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from sqlalchemy import case, literal, select, union_all

from control.database.rows import AnySelect
from control.database.tables.base import UtcTime
from control.database.tables.executions import executions
from control.database.tables.projects import projects
from control.services.world import World


def by_day(
    world: World, project_ids: Sequence[str], starts: Sequence[datetime]
) -> dict[str, tuple[int, ...]]:
    """Count the executions of each project from each of `starts` (ascending) to the next.

    The last stretch ends now. A project without any is left out. The ids are those of projects
    that the caller may read.
    """
    marks: dict[str, list[int]] = {}
    newest: dict[str, int] = {}
    with world.database.read() as connection:
        for row in connection.execute(_made_before(project_ids, starts)):
            marks.setdefault(row.project_id, []).append(row.low)
            newest[row.project_id] = row.newest
    return {
        project_id: tuple(
            end - start for start, end in pairwise([*sorted(found), newest[project_id]])
        )
        for project_id, found in marks.items()
    }


def _made_before(project_ids: Sequence[str], moments: Sequence[datetime]) -> AnySelect:
    """Find the last counter that each project gave out before each moment, by halving.

    Counters grow with time and have no gaps: the counter says how many there were.
    """
    times = union_all(*(select(literal(one, UtcTime).label("moment")) for one in moments))
    moment = times.subquery("moments")
    last = (
        select(executions)
        .where(executions.c.project_id == projects.c.id)
        .order_by(executions.c.counter.desc())
        .limit(1)
    )
    newest = last.with_only_columns(executions.c.counter).scalar_subquery()
    made = last.with_only_columns(executions.c.ctime).scalar_subquery()
    search = (
        select(
            projects.c.id.label("project_id"),
            moment.c.moment,
            newest.label("newest"),
            literal(0).label("low"),
            newest.label("high"),
        )
        .join_from(projects, moment, literal(1) == 1)
        .where(projects.c.id.in_(project_ids), made >= min(moments))
        .cte("search", recursive=True)
    )
    middle = (search.c.low + search.c.high + 1) // 2
    is_before = (
        select(executions.c.ctime)
        .where(executions.c.project_id == search.c.project_id, executions.c.counter == middle)
        .scalar_subquery()
        < search.c.moment
    )
    halved = select(
        search.c.project_id,
        search.c.moment,
        search.c.newest,
        case((is_before, middle), else_=search.c.low),
        case((is_before, search.c.high), else_=middle - 1),
    ).where(search.c.low < search.c.high)
    found = search.union_all(halved)
    return select(found.c.project_id, found.c.newest, found.c.low).where(
        found.c.low == found.c.high
    )
