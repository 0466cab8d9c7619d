"""Beside a run of the engine: keeps the lease, writes the events, looks for a request to stop."""

from __future__ import annotations

import queue
import threading
import time
from types import TracebackType
from typing import Self

from control.domain.cloud_ports import StackEvent
from control.loops.acting import Acting
from control.services import stack_leases, stack_runs
from control.services.stack_leases import Lease

EVERY_S = 0.5
EXTEND_EVERY_S = 15.0


class Telling:
    """A thread for as long as a run goes on."""

    def __init__(self, acting: Acting, lease: Lease, run_id: str) -> None:
        self._acting, self._lease, self._run_id = acting, lease, run_id
        self._events: queue.SimpleQueue[StackEvent] = queue.SimpleQueue()
        self._next_number = 1
        self._ended = threading.Event()
        self._must_stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name=f"telling-{lease.stack}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._write_events()
        if error is not None:
            sentence = "The service failed while the engine ran: see its log."
            now = self._acting.clock()
            stack_runs.mark_lost(self._acting.world, self._run_id, sentence, now)

    # -- what the engine calls -----------------------------------------------------------------
    def started(self, pid: int) -> None:
        """Record the process group before the engine begins."""
        if not stack_leases.attach(self._acting.world, self._lease, pid):
            self._must_stop.set()

    def event(self, event: StackEvent) -> None:
        """Keep an event; written within half a second."""
        self._events.put(event)

    def should_stop(self) -> bool:
        """Say whether a person asked, the process ends, or the lease is somebody else's."""
        return self._must_stop.is_set() or self._acting.must_stop.is_set()

    # -- the thread ----------------------------------------------------------------------------
    def _go_on(self) -> None:
        extended_at = time.monotonic()
        while not self._ended.wait(EVERY_S):
            self._write_events()
            if stack_runs.must_stop(self._acting.world, self._lease, self._run_id):
                self._must_stop.set()
            if time.monotonic() - extended_at >= EXTEND_EVERY_S:
                extended_at = time.monotonic()
                now = self._acting.clock()
                if not stack_leases.extend(self._acting.world, self._lease, now):
                    self._must_stop.set()

    def _write_events(self) -> None:
        events: list[StackEvent] = []
        while not self._events.empty():
            events.append(self._events.get())
        if not events:
            return
        first, self._next_number = self._next_number, self._next_number + len(events)
        written = stack_runs.add_events(
            self._acting.world, self._lease, self._run_id, first, events
        )
        if not written:
            self._must_stop.set()
