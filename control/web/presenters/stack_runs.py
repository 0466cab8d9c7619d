"""Runs of the engine on stacks: what was done, how it went, and each step of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.services.stack_run_views import RUNNING
from control.web import formats
from control.web.presenters.status import Badge

RUN_BADGES = {
    RUNNING: Badge("Running", "is-active", "moving", is_moving=True),
    "succeeded": Badge("Done", "is-done", "tick"),
    "failed": Badge("Failed", "is-failed", "cross"),
    "conflict": Badge("Stack was locked", "is-waiting", "circle"),
    "interrupted": Badge("Interrupted", "is-stopped", "square"),
    "timed-out": Badge("Out of time", "is-failed", "cross"),
    "lost": Badge("Lost", "is-lost", "broken"),
}
STOPPING = Badge("Stopping", "is-stopping", "ring")
VERBS = {"up": "Update", "preview": "Preview", "refresh": "Refresh", "destroy": "Destroy"}


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as a row, and as the head of its page."""

    id: str
    url: str
    title: str
    stack: str
    badge: Badge
    sentence: str
    changes: str
    commit: str
    seconds: float
    engine_s: float | None
    started_at: datetime
    is_over: bool
    may_stop: bool


def run_row(row: Any, now: datetime) -> RunRow:
    """Present a run."""
    is_over = row.ended_at is not None
    verb = VERBS.get(row.verb) or row.verb
    size = f" to {formats.plural(row.size, 'machine')}" if row.size is not None else ""
    is_stopping = not is_over and bool(row.stop_requested_by)
    return RunRow(
        id=row.id,
        url=run_url(row.id),
        title=verb + size,
        stack=row.stack,
        badge=STOPPING if is_stopping else RUN_BADGES.get(row.status, RUN_BADGES["lost"]),
        sentence=_sentence(row),
        changes=changes_in_words(row.changes or {}),
        commit=row.commit[:12],
        seconds=((row.ended_at or now) - row.started_at).total_seconds(),
        engine_s=row.engine_s,
        started_at=row.started_at,
        is_over=is_over,
        may_stop=not is_over and not row.stop_requested_by,
    )


def run_url(run_id: str) -> str:
    """The address of a run."""
    return f"/stack-runs/{run_id}/"


def _sentence(row: Any) -> str:
    if row.error:
        return row.error
    if row.ended_at is None:
        by = row.stop_requested_by
        return f"{by} asked it to stop; the engine ends its step first." if by else ""
    if row.status == "lost":
        return "The process that ran it ended; the next run recovers the stack."
    return ""


def changes_in_words(changes: dict[str, int]) -> str:
    """Write `2 created, 1 updated`; `same` only when there is nothing else."""
    words = {"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced"}
    said = [f"{count} {words.get(key, key)}" for key, count in changes.items() if key != "same"]
    if said:
        return ", ".join(said)
    return "nothing changed" if changes else ""


@dataclass(frozen=True, slots=True)
class EventRow:
    """A step of a run as a line."""

    number: int
    at: datetime
    badge: str  # class of a log line: out, err, sys
    head: str  # operation and resource
    text: str


def event_row(row: Any) -> EventRow:
    """Present an event."""
    is_wrong = row.severity in ("error", "warning")
    kind = "err" if is_wrong else "sys" if row.kind == "summary" else "out"
    head = " ".join(word for word in (row.operation, row.resource) if word)
    return EventRow(row.number, row.at, kind, head, row.text)
