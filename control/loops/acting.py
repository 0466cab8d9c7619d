"""What the loops of `talkoot infra` share: who we are, the engine, and work that runs aside."""

from __future__ import annotations

import os
import random
import secrets
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from control.domain.cloud_ports import StackEngine
from control.services.world import World

log = structlog.get_logger()

_dice = random.SystemRandom()


def utc_now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


def _holder() -> str:
    """Name this process among all that ever were: a pid comes again, in containers always."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class Acting:
    """One process that acts on infrastructure."""

    world: World
    engine: StackEngine
    time_limit_s: float = 1800.0
    holder: str = field(default_factory=_holder)
    host: str = field(default_factory=socket.gethostname)
    clock: Callable[[], datetime] = utc_now
    dice: Callable[[], float] = _dice.random
    must_stop: threading.Event = field(default_factory=threading.Event)
    """Set by the second request to stop: engines are interrupted."""

    def is_dead(self, holder: str) -> bool:
        """Say whether a holder was a process of this machine that is gone."""
        host, _, rest = holder.rpartition(":")[0].rpartition(":")
        if host != self.host or not rest.isdigit() or holder == self.holder:
            return False
        return int(rest) == os.getpid() or not _is_there(int(rest))

    def repeat(
        self,
        name: str,
        tick: Callable[[], object],
        every_s: float,
        *,
        stop: threading.Event,
        rest: Callable[[threading.Event], object] | None = None,
    ) -> None:
        """Tick at once, then every so many seconds or after each `rest`, until `stop` is set."""
        while not stop.is_set():
            try:
                tick()
            except Exception:
                # The one broad catch of a loop: recorded, and the next tick tries again.
                log.exception("loop_failed", loop=name)
                stop.wait(every_s * 3)
                continue
            if rest is None:
                stop.wait(every_s)
            else:
                rest(stop)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Aside:
    """Work in threads, at most one piece a key at a time: what is slow holds up nothing else."""

    def __init__(self, name: str, at_once: int) -> None:
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._running: set[str] = set()
        self._lock = threading.Lock()

    def start(self, key: str, work: Callable[[], object]) -> bool:
        """Start a piece unless one of that key runs or waits; whether it was started."""
        with self._lock:
            if key in self._running:
                return False
            self._running.add(key)
        self._pool.submit(self._do, key, work)
        return True

    def is_running(self, key: str) -> bool:
        """Say whether a piece of that key runs or waits."""
        with self._lock:
            return key in self._running

    def _do(self, key: str, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:
            # The one broad catch of this loop: recorded, and the next tick tries again.
            log.exception("loop_failed", loop=key)
        finally:
            with self._lock:
                self._running.discard(key)

    def close(self) -> None:
        """Wait until everything has ended; what waited is not begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)
