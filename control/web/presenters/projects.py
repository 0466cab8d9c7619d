"""A project as a row of the first page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from control.domain.states import Status
from control.services.executions import ExecutionView
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


def card(view: ProjectView, recent: Sequence[ExecutionView]) -> Card:
    """Present a project and its newest executions."""
    counts = view.counts
    results = tuple(_result(one) for one in reversed(recent))
    newest = recent[0].row if recent else None
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
    )


def _result(view: ExecutionView) -> Result:
    row = view.row
    shown = badge(row.status, row.phase)
    return Result(execution_url(row.id), shown, f"#{row.counter} {row.step}: {shown.word}")
