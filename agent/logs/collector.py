"""Moves a step's output from where the runtime keeps it into the numbered spool."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from agent.logs.spool import Spool
from agent.phases.output import Source

WAIT_S = 1.0


class Collector(threading.Thread):
    """One thread an attempt; `ended` is set when the whole output is in the spool."""

    def __init__(self, spool: Spool, source: Source, on_end: Callable[[Exception], None]) -> None:
        super().__init__(name="log collector", daemon=True)
        self._spool = spool
        self._source = source
        self._on_end = on_end
        self.ended = threading.Event()
        self.output_at = time.monotonic()  # when the step last printed something
        self._give_up = threading.Event()

    def run(self) -> None:
        try:
            is_end = False
            while not is_end and not self._give_up.is_set():
                chunk = self._source.read(self._spool.position, WAIT_S)
                is_end = chunk.is_end
                if chunk.block or chunk.position != self._spool.position:
                    self._spool.append(chunk.block, chunk.position)
                    self.output_at = time.monotonic()
        except Exception as error:
            self._on_end(error)
        finally:
            self._source.close()
            self.ended.set()

    def abandon(self) -> None:
        """End without the rest, for an attempt that belongs to nobody any more."""
        self._give_up.set()
