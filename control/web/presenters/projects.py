"""A project as a row of the first page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from control.database.rows import AnyRow
from control.domain.states import Status
from control.services.projects import ProjectView
from control.web.presenters.frames import execution_url, project_url
from control.web.presenters.status import Badge, badge


@dataclass(frozen=True, slots=True)
class Result:
    """One of the last executions."""

    url: str
    badge: Badge
    label: str


@dataclass(frozen=True, slots=True)
class Week:
    """The executions made on each of seven days, as a path 62 wide and 20 high."""

    total: int
    path: str
    label: str


@dataclass(frozen=True, slots=True)
class Card:
    """A project at a glance. `recent` is oldest first."""

    id: str
    name: str
    url: str
    owner: str
    description: str
    repository: str
    waiting: int
    running: int
    total: int
    last: Badge | None
    last_url: str
    last_at: datetime | None
    recent: tuple[Result, ...]
    week: Week


def days_of_week(now: datetime) -> list[datetime]:
    """List the beginnings of today and the six days before, in UTC, oldest first."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=back) for back in range(6, -1, -1)]


def week(days: Sequence[datetime], counts: Sequence[int]) -> Week:
    """Present a week's counts as bars as high as the busiest day asks; what is not zero is seen."""
    most = max(counts)
    highs = [max(3, round(20 * count / most)) if count else 1 for count in counts]
    bars = (f"M{9 * at} 20v-{high}h8v{high}z" for at, high in enumerate(highs))
    words = (f"{day:%a} {count}" for day, count in zip(days, counts, strict=True))
    return Week(sum(counts), "".join(bars), f"Executions a day: {', '.join(words)}")


def card(view: ProjectView, recent: Sequence[AnyRow], this_week: Week) -> Card:
    """Present a project, its newest executions and its week."""
    counts = view.counts
    results = tuple(_result(one) for one in reversed(recent))
    newest = recent[0] if recent else None
    return Card(
        id=view.row.id,
        name=view.row.name,
        url=project_url(view.row.id),
        owner=view.owner.username,
        description=view.row.description,
        repository=view.repository.url if view.repository is not None else "",
        waiting=counts.get(Status.CREATED, 0) + counts.get(Status.QUEUED, 0),
        running=counts.get(Status.STARTED, 0) + counts.get(Status.STOPPING, 0),
        total=sum(counts.values()),
        last=results[-1].badge if results else None,
        last_url=results[-1].url if results else "",
        last_at=(newest.end_time or newest.ctime) if newest is not None else None,
        recent=results,
        week=this_week,
    )


def _result(row: AnyRow) -> Result:
    shown = badge(row.status, row.phase)
    return Result(execution_url(row.id), shown, f"#{row.counter} {row.step}: {shown.word}")
