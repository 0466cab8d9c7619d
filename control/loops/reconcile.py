"""Keeps the machines' rows true to the clouds, every 30 s (infrastructure.md 3.3 step 9).

A place that owes machines is read every 5 s, so that a refusal is known soon.

Part of `talkoot infra`. Each place has a thread of the tick, so that a region that does not answer
holds up no other; a place that failed is left alone for a while, longer each time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from control.domain.errors import PermanentError, TemporaryError
from control.domain.reconciling import READ_S, READ_SOON_S, pause_s
from control.services import reconciling
from control.services.machines import Place
from control.services.world import World

log = structlog.get_logger()

EVERY_S = READ_SOON_S
THREADS = 8


@dataclass
class Reconciler:
    """The loop's tick, with its memory of places that failed. `dice` gives numbers in [0, 1)."""

    dice: Callable[[], float]
    _failed: dict[Place, tuple[int, datetime]] = field(default_factory=dict)  # times, not before
    _read: dict[Place, datetime] = field(default_factory=dict)  # when last
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tick(self, world: World, now: datetime) -> int:
        """Reconcile every place that is due; how many went well."""
        awaited = reconciling.awaited(world, now)
        due = [
            place
            for place in reconciling.places(world)
            if self._is_due(place, now) and (place in awaited or self._is_old(place, now))
        ]
        if not due:
            return 0
        self._read |= dict.fromkeys(due, now)
        with ThreadPoolExecutor(min(THREADS, len(due)), "reconcile") as pool:
            return sum(pool.map(lambda place: self._one(world, place, now), due))

    def _one(self, world: World, place: Place, now: datetime) -> bool:
        try:
            reconciling.reconcile(world, place, now)
        except (TemporaryError, PermanentError) as error:
            self._put_off(place, now, error.message)
            return False
        with self._lock:
            self._failed.pop(place, None)
        return True

    def _is_old(self, place: Place, now: datetime) -> bool:
        read_at = self._read.get(place)
        rhythm = timedelta(seconds=READ_S - READ_SOON_S / 2)
        return read_at is None or not timedelta(0) <= now - read_at < rhythm

    def _is_due(self, place: Place, now: datetime) -> bool:
        with self._lock:
            times, until = self._failed.get(place, (0, now))
        # A clock that went back makes no pause longer.
        return not now < until <= now + timedelta(seconds=pause_s(times, 1.0))

    def _put_off(self, place: Place, now: datetime, message: str) -> None:
        with self._lock:
            times = self._failed.get(place, (0, now))[0] + 1
            wait_s = pause_s(times, self.dice())
            self._failed[place] = times, now + timedelta(seconds=wait_s)
        log.warning(
            "place_not_reconciled",
            cloud=place.cloud,
            region=place.region,
            error=message,
            again_in_s=round(wait_s),
        )
