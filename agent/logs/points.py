"""Metadata: the lines of stdout that are JSON objects, found in the spool's own bytes.

Read from the numbered lines, not from the step's output, so that a restarted agent finds the same
points under the same numbers. Source: client-contract.md 4.6.
"""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from agent import wire
from agent.logs.lines import TEXT_AT
from agent.logs.spool import Spool
from agent.phases.stamps import STAMP, micros_of

READ_BYTES = 1024 * 1024
BATCH = 500
PAUSE_S = 5.0
MARK = b" o {"
PER_SECOND = 50
BURST = 500

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Allowance:
    """Some points a second on average, more in a burst; counted in the lines' own time."""

    left: float = BURST
    last_us: int = 0
    dropped: int = 0

    def take(self, at_us: int) -> bool:
        """Take one; False when the step sends too many."""
        if self.last_us:
            self.left = min(BURST, self.left + (at_us - self.last_us) / 1e6 * PER_SECOND)
        self.last_us = at_us
        if self.left < 1:
            self.dropped += 1
            return False
        self.left -= 1
        return True


def points_in(block: bytes, first: int) -> Iterator[wire.MetadataPoint]:
    """Find the points among whole lines of which the first has number `first`."""
    number, counted_to, at = first, 0, block.find(MARK)
    while at >= 0:
        start = block.rfind(b"\n", 0, at) + 1
        end = block.index(b"\n", at)
        if at - start == STAMP:
            number += block.count(b"\n", counted_to, start)
            counted_to = start
            values = _parse(block[start + TEXT_AT : end])
            if values is not None:
                yield wire.MetadataPoint(number, block[start : start + STAMP].decode(), values)
        at = block.find(MARK, end)


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        values: Any = json.loads(text, parse_constant=_nothing, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", values) if isinstance(values, dict) else None


def _nothing(_: str) -> None:
    """Read NaN and Infinity, which Python prints and JSON does not know, as null."""


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


class PointReporter(threading.Thread):
    """One thread an attempt; reports batches, and says once when points are dropped."""

    def __init__(
        self,
        spool: Spool,
        deliver: Callable[[wire.MetadataReport], None],
        on_end: Callable[[Exception], None],
    ) -> None:
        super().__init__(name="metadata", daemon=True)
        self._spool = spool
        self._deliver = deliver
        self._on_end = on_end
        mark = spool.marks.get("points", [spool.first, 0])
        self._line, self._offset = int(mark[0]), int(mark[1])
        self._allowance = Allowance()
        self._is_ending = threading.Event()
        self._is_abandoned = False

    def abandon(self) -> None:
        """End without reporting more."""
        self._is_abandoned = True
        self._is_ending.set()
        self._spool.wake()

    def end(self) -> None:
        """Report what is there and end; blocks until it is done."""
        self._is_ending.set()
        self._spool.wake()
        self.join()

    def run(self) -> None:
        try:
            while not self._is_abandoned:
                # Asked first: what came before the end was announced is still reported.
                is_ending = self._is_ending.is_set()
                if self._spool.wait_beyond(self._offset, PAUSE_S, self._is_ending):
                    self._read_on()
                elif is_ending:
                    return
        except Exception as error:
            self._on_end(error)

    def _read_on(self) -> None:
        block = self._spool.read(self._offset, READ_BYTES)
        found = [
            point
            for point in points_in(block, self._line)
            if self._allowance.take(micros_of(point.time.encode()))
        ]
        for start in range(0, len(found), BATCH):
            self._deliver(wire.MetadataReport(tuple(found[start : start + BATCH])))
        if self._allowance.dropped and not self._spool.marks.get("points_warned"):
            self._spool.marks["points_warned"] = True
            self._spool.say(
                f"Metadata: more than {PER_SECOND} points a second on average, some are dropped "
                "(their lines stay in the log)"
            )
        self._line += block.count(b"\n")
        self._offset += len(block)
        self._spool.marks["points"] = [self._line, self._offset]
