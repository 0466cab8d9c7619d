"""Runs the deciding loops of one process; each is leased, so two processes are safe.

A tick takes no input but the state it can read, and is run again rather than retried.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from control.loops import heal, reap, store_logs, sweep
from control.services import leases
from control.services.world import World

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Loop:
    """A named tick and its rhythm."""

    name: str
    tick: Callable[[World, datetime], int]
    every_s: float


LOOPS = (
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
    wait_s = 0.0
    while not stop.wait(wait_s):
        wait_s = loop.every_s
        now = datetime.now(UTC)
        try:
            life = timedelta(seconds=max(loop.every_s * 3, 10))
            if leases.take(world, loop.name, holder, now, life):
                loop.tick(world, now)
        except Exception:
            # The one broad catch of a loop: recorded, and the next tick tries again.
            log.exception("loop_failed", loop=loop.name)
            wait_s = loop.every_s * 3
    leases.release(world, loop.name, holder)
