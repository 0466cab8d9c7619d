"""Phase reports, sent in order by a thread of their own: a slow answer does not slow the step.

What gathered while one answer was waited for, or follows at once, goes in one request.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from agent import wire
from agent.phases.stamps import stamp_of

PROGRESS_EVERY_S = 1.0
LINGER_S = 0.02
"""Short phases follow each other within this time and go in one request."""
_NONE: tuple[int, int | None, str] = (0, None, "")


class PhaseReporter(threading.Thread):
    """Started, progress (thinned), ended; repeated until answered."""

    def __init__(
        self,
        deliver: Callable[[wire.PhaseReports], None],
        on_end: Callable[[Exception], None],
    ) -> None:
        super().__init__(name="phases", daemon=True)
        self._deliver = deliver
        self._on_end = on_end
        self._waiting: queue.SimpleQueue[wire.PhaseReport | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._progress_at = 0.0
        self._is_over = False
        self._newest: dict[str, tuple[int, int | None, str]] = {}

    def tell(self, name: str, state: str) -> None:
        """Report that a phase started or ended; the end carries the last count."""
        done, total, unit = self._newest.pop(name, _NONE) if state == "ended" else _NONE
        self._waiting.put(wire.PhaseReport(name, state, now_text(), done, total, unit))

    def progress(self, name: str, done: int, total: int | None, unit: str) -> None:
        """Report progress, at most once a second."""
        self._newest[name] = (done, total, unit)
        with self._lock:
            if time.monotonic() - self._progress_at < PROGRESS_EVERY_S:
                return
            self._progress_at = time.monotonic()
        self._waiting.put(wire.PhaseReport(name, "progress", now_text(), done, total, unit))

    def end(self) -> None:
        """Send what waits and end; blocks until then."""
        self._waiting.put(None)
        self.join()

    def run(self) -> None:
        try:
            while reports := self._take():
                self._deliver(wire.PhaseReports(tuple(reports)))
        except Exception as error:
            self._on_end(error)

    def _take(self) -> list[wire.PhaseReport]:
        """Wait for a report and take what follows it soon; none when it is over."""
        taken: list[wire.PhaseReport] = []
        limit = float("inf")
        while not self._is_over and (left_s := limit - time.monotonic()) > 0:
            try:
                report = self._waiting.get(timeout=left_s if taken else None)
            except queue.Empty:
                break
            if report is None:
                self._is_over = True
            else:
                taken.append(report)
                limit = min(limit, time.monotonic() + LINGER_S)
        return taken


def now_text() -> str:
    """Give the time as in wire."""
    return stamp_of(time.time_ns() // 1000).decode()
