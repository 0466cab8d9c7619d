"""Environments with the workers that serve them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.domain.placement import workers as in_words
from control.domain.worker_groups import CLOUDS
from control.services.workers import WorkerView
from control.web import formats
from control.web.presenters.frames import execution_url
from control.web.presenters.status import Badge

WORKER_BADGES = {
    "live": Badge("Live", "is-done", "tick"),
    "suspect": Badge("Not answering", "is-lost", "broken"),
    "draining": Badge("Draining", "is-stopping", "ring"),
    "left": Badge("Left", "is-stopped", "square"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """An environment to pick, with its present wait."""

    slug: str
    name: str
    wait: str
    is_default: bool
    id: str


def default_choice(
    choices: Sequence[Choice], of_step: str | None, of_project: str | None
) -> Choice | None:
    """Find where a step runs when nobody says: its own, the project's, the platform's choice."""
    wanted = [one for one in choices if of_step and of_step in (one.slug, one.id, one.name)]
    wanted += [one for one in choices if one.id == of_project]
    wanted += [one for one in choices if one.is_default]
    return next(iter([*wanted, *choices]), None)


def choice(row: Any, workers: Sequence[WorkerView]) -> Choice:
    """Present an environment with what one waits for there."""
    live = [one for one in workers if one.status == "live"]
    free = sum(1 for one in live if not one.executions)
    ahead = row.unfinished_job_count
    if not live:
        wait = "a machine is started for it" if row.kind in CLOUDS else "no worker there yet"
    elif free and ahead <= len(live) - free:
        wait = "starts at once"
    else:
        wait = f"{formats.whole(ahead)} ahead, {in_words(len(live))}"
    price = f", ${row.per_hour_price_usd:g} an hour" if row.per_hour_price_usd else ""
    return Choice(row.slug, row.name, wait + price, row.is_default, row.id)


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker does now."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Machine:
    """A worker as a row; `drain_url` is empty once it was asked to, or has left."""

    drain_url: str
    name: str
    badge: Badge
    tasks: tuple[Task, ...]
    runtime: str
    version: str
    facts: str
    joined_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """An environment as a card."""

    id: str
    slug: str
    name: str
    url: str
    kind: str
    description: str
    gpu: str
    price: float
    quota: int
    is_enabled: bool
    is_default: bool
    waiting_or_running: int
    live: int
    busy: int
    sentence: str


def place(row: Any, workers: Sequence[WorkerView]) -> Place:
    """Present an environment."""
    live = [one for one in workers if one.status in ("live", "draining")]
    busy = sum(1 for one in live if one.executions)
    return Place(
        id=row.id,
        slug=row.slug,
        name=row.name,
        url=f"/environments/{row.slug}/",
        kind=row.kind,
        description=row.description,
        gpu=row.gpu_spec,
        price=row.per_hour_price_usd,
        quota=row.per_user_queue_quota,
        is_enabled=row.is_enabled,
        is_default=row.is_default,
        waiting_or_running=row.unfinished_job_count,
        live=len(live),
        busy=busy,
        sentence=_sentence(row, len(live), busy),
    )


def _sentence(row: Any, live: int, busy: int) -> str:
    if not row.is_enabled:
        return "Switched off: what is sent here is held until an operator switches it on."
    if not live:
        return "No worker is here: what is sent here waits until one joins."
    waiting = max(0, row.unfinished_job_count - busy)
    if waiting:
        return f"{formats.plural(waiting, 'execution')} waiting for {in_words(live)}, {busy} busy."
    if busy:
        return f"Nothing waits; {busy} of {in_words(live)} busy."
    return f"Nothing waits; {in_words(live)} free."


def machine(view: WorkerView) -> Machine:
    """Present a worker."""
    row = view.row
    may_drain = view.status in ("live", "suspect") and row.drain_requested_at is None
    return Machine(
        drain_url=f"/workers/{row.id}/drain/" if may_drain else "",
        name=row.name,
        badge=WORKER_BADGES[view.status],
        tasks=tuple(
            Task(f"#{one.counter} {one.step}: {one.phase}", execution_url(one.id))
            for one in view.executions
        ),
        runtime=row.runtime,
        version=row.version,
        facts=_facts(row.facts or {}),
        joined_at=row.joined_at,
        last_seen_at=row.last_seen_at,
    )


def _facts(facts: dict[str, Any]) -> str:
    words: list[str] = []
    if facts.get("cpus"):
        words.append(formats.plural(int(facts["cpus"]), "CPU"))
    for key, what in (("memory_bytes", "memory"), ("disk_free_bytes", "disk free")):
        if facts.get(key):
            words.append(f"{formats.size(float(facts[key]))} {what}")
    gpus = facts.get("gpus")
    if gpus:
        words.append(formats.plural(len(gpus) if isinstance(gpus, list) else int(gpus), "GPU"))
    return ", ".join(words)
