"""Until when an attempt may run without hearing from the control service."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

MARGIN_S = 30.0
SHORT_S = 60.0


class Lease:
    """Renewed by heartbeats. The container dies before the lease does, so attempts never overlap.

    Source: architecture.md part 4, "liveness".
    """

    def __init__(self, lease_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._lease_s = lease_s
        self._until = clock() + lease_s

    def renew(self, asked_at: float, lease_s: float) -> None:
        """Count from when the heartbeat was sent: the control service counts from later."""
        with self._lock:
            self._lease_s = lease_s or self._lease_s
            self._until = max(self._until, asked_at + self._lease_s)

    @property
    def is_ending(self) -> bool:
        """Say whether the container must end now."""
        with self._lock:
            margin_s = MARGIN_S if self._lease_s > SHORT_S else self._lease_s / 2
            return self._clock() >= self._until - margin_s
