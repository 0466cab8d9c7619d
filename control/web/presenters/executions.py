"""An execution as a row of a table and as the head of its own page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from control.domain.states import FINAL, INCOMPLETE, Status
from control.services.executions import ExecutionView
from control.web import formats
from control.web.presenters import sentences
from control.web.presenters.frames import execution_url
from control.web.presenters.status import Badge, badge
from control.web.presenters.timelines import Timeline, timeline

CLOCKS = frozenset({"epoch", "step", "iteration", "seconds", "time", "timestamp", "learning_rate"})
"""Metadata that counts progress: a poor first choice for a column or a curve."""
SHOWN_METRICS = 2


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the list."""

    id: str
    url: str
    counter: int
    badge: Badge
    reason: str
    step: str
    title: str
    environment: str
    creator: str
    ctime: datetime
    seconds: float | None
    since: datetime | None
    tags: tuple[str, ...]
    metrics: tuple[str, ...] = field(default=())


def lines(
    views: Sequence[ExecutionView], metrics: Sequence[str], waits: Mapping[str, str], now: datetime
) -> list[Line]:
    """Present a page of the list with the chosen metrics as columns; `waits`: why, by id."""
    return [_line(view, metrics, waits.get(view.row.id), now) for view in views]


def _line(view: ExecutionView, metrics: Sequence[str], waits: str | None, now: datetime) -> Line:
    row = view.row
    known: dict[str, Any] = row.cumulative_metadata or {}
    return Line(
        id=row.id,
        url=execution_url(row.id),
        counter=row.counter,
        badge=badge(row.status, row.phase),
        reason=_short_reason(row, waits),
        step=row.step,
        title=row.title,
        environment=view.environment.name,
        creator=view.creator.username,
        ctime=row.ctime,
        seconds=seconds_of(row, now),
        since=row.started_at if row.started_at and not row.end_time else None,
        tags=tuple(row.tags or ()),
        metrics=tuple(formats.measure(known[key]) if key in known else "" for key in metrics),
    )


def _short_reason(row: Any, waits: str | None) -> str:
    if waits or row.status in (Status.ERROR, Status.CRASHED):
        text = sentences.sentence(row, waits, row.mtime)
        return text if len(text) < 90 else f"{text[:88]}…"
    return row.status_detail or "" if row.status == Status.STARTED else ""


def seconds_of(row: Any, now: datetime) -> float | None:
    """How long the newest attempt took or takes; None before it starts."""
    if row.started_at is None:
        return None
    return max(0.0, ((row.end_time or now) - row.started_at).total_seconds())


def metric_keys(views: Sequence[ExecutionView]) -> list[str]:
    """List the numeric metadata of a page of executions, the most common first."""
    found: Counter[str] = Counter()
    for view in views:
        for key, value in (view.row.cumulative_metadata or {}).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[key] += 1
    return sorted(found, key=lambda key: (key in CLOCKS, -found[key], key))


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an execution's page."""

    id: str
    url: str
    counter: int
    step: str
    title: str
    badge: Badge
    sentence: str
    next_step: str
    timeline: Timeline
    is_final: bool
    has_failed: bool
    may_stop: bool
    is_stopping: bool


def head(view: ExecutionView, wait_reason: str | None, phases: list[Any], now: datetime) -> Head:
    """Present the head: what it is, what it does, where its time went."""
    row = view.row
    status = Status(row.status)
    return Head(
        id=row.id,
        url=execution_url(row.id),
        counter=row.counter,
        step=row.step,
        title=row.title if row.title != row.step else "",
        badge=badge(status, row.phase),
        sentence=sentences.sentence(row, wait_reason, now),
        next_step=sentences.next_step(row),
        timeline=timeline(row, phases, now),
        is_final=status in FINAL,
        has_failed=status in (Status.ERROR, Status.CRASHED),
        may_stop=status in INCOMPLETE,
        is_stopping=status == Status.STOPPING,
    )
