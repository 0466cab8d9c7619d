"""Runs the deciding loops of one process; each is leased, so two processes are safe.

A tick takes no input but the state it can read, and is run again rather than retried.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from control.loops import autoscale, heal, reap, store_logs, sweep
from control.services import leases, wakeups
from control.services.world import World

log = structlog.get_logger()

LEAST_REST_S = 0.02
"""Between two ticks that were asked for."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A named tick and its rhythm."""

    name: str
    tick: Callable[[World, datetime], int]
    every_s: float
    wakes: str = ""  # of services/wakeups.py: a note there ticks at once


LOOPS = (
    Loop("autoscale", autoscale.tick, 10.0, wakeups.PLAN),
    Loop("reap", reap.tick, 5.0),
    Loop("heal", heal.tick, 10.0),
    Loop("store_logs", store_logs.tick, 1.0),
    Loop("sweep", sweep.tick, 600.0),
)


def run(world: World, stop: threading.Event, loops: Sequence[Loop] | None = None) -> None:
    """Run every loop, LOOPS unless others are given, in its own thread until `stop` is set."""
    threads = [
        threading.Thread(target=_repeat, args=(world, loop, stop), name=loop.name)
        for loop in (LOOPS if loops is None else loops)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _repeat(world: World, loop: Loop, stop: threading.Event) -> None:
    holder = f"{socket.gethostname()}:{os.getpid()}"
    rest = Rest(0.0)
    while not _rest(world, loop, rest, stop):
        rest = Rest(loop.every_s)
        now = datetime.now(UTC)
        begun = time.monotonic()
        try:
            life = timedelta(seconds=max(loop.every_s * 3, 10))
            if leases.take(world, loop.name, holder, now, life):
                loop.tick(world, now)
                # Ticks that are asked for take a fifth of the time at most: one answers for many.
                least_s = max(LEAST_REST_S, 4 * (time.monotonic() - begun))
                rest = Rest(loop.every_s, least_s if loop.wakes else None)
        except Exception:
            # The one broad catch of a loop: recorded, and the next tick tries again.
            log.exception("loop_failed", loop=loop.name)
            rest = Rest(loop.every_s * 3)
    leases.release(world, loop.name, holder)


@dataclass(frozen=True, slots=True)
class Rest:
    """How long until the next tick; after `least_s` a wake-up ends it. None: nothing does."""

    most_s: float
    least_s: float | None = None


def _rest(world: World, loop: Loop, rest: Rest, stop: threading.Event) -> bool:
    """Rest; True when it is time to end. Only who holds the lease may take a wake-up."""
    if rest.least_s is None:
        return stop.wait(rest.most_s)
    deadline = time.monotonic() + rest.most_s
    if stop.wait(min(rest.least_s, rest.most_s)):
        return True
    wakeups.rest(world, loop.wakes, deadline - time.monotonic(), stop)
    return stop.is_set()
