"""Where an execution may run and why it waits: one function places it and finds the words.

Source: EX-5 (platform-behaviour.md 10.6): a person sees the place, the machines and what is next.
"""

from __future__ import annotations

from dataclasses import dataclass

from control.domain.states import Status


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a placement looks at; counts are of the environment, but for `owner_active`."""

    environment: str  # the name people see
    is_enabled: bool
    owner_quota: int  # at most so many queued and running of one user; 0: no limit
    owner_active: int  # queued and running of this execution's creator, itself left out
    workers_live: int
    workers_suspect: int
    workers_busy: int
    position: int | None = None  # place in the queue, from 1; None before it is queued
    depth: int = 0
    outlook: str = ""  # of the worker groups that serve it, in words; "": none does


@dataclass(frozen=True, slots=True)
class Placement:
    """The decision: `queued`, or held in `created`; `reason` is shown to people."""

    status: Status
    reason: str


def place(now: Circumstances) -> Placement:
    """Decide whether an execution may queue, and say why it waits."""
    if not now.is_enabled:
        return Placement(
            Status.CREATED, f"Held: the environment {now.environment} is switched off."
        )
    if 0 < now.owner_quota <= now.owner_active:
        return Placement(
            Status.CREATED,
            f"Held: you have {now.owner_active} executions queued or running on "
            f"{now.environment} and the quota is {now.owner_quota}; "
            "it starts by itself when one ends.",
        )
    return Placement(Status.QUEUED, f"Waiting: {_place(now)} on {now.environment}; {_next(now)}.")


def _place(now: Circumstances) -> str:
    if now.position is None:
        return "in the queue"
    if now.position == 1:
        return "next" if now.depth <= 1 else f"next of {now.depth}"
    return f"{ordinal(now.position)} of {max(now.depth, now.position)}"


def _next(now: Circumstances) -> str:
    if now.outlook and now.workers_live <= now.workers_busy:
        return now.outlook
    if now.workers_live == 0 and now.workers_suspect == 0:
        return "no worker has joined it, start one with `talkoot agent`"
    if now.workers_live == 0:
        return f"{workers(now.workers_suspect)} stopped answering"
    free = now.workers_live - now.workers_busy
    if free > 0:
        return f"{workers(free)} free, it starts in a moment"
    verb = "is" if now.workers_live == 1 else "are"
    return f"{workers(now.workers_live)} {verb} busy, it starts when one is free"


def workers(count: int) -> str:
    """Count workers in words: `1 worker`, `3 workers`."""
    return f"{count} worker" if count == 1 else f"{count} workers"


def ordinal(number: int) -> str:
    """Write 1 as 1st, 12 as 12th, 23 as 23rd."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
