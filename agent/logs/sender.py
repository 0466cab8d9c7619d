"""Carries the spool to the control service: one block after the other, for ever if need be."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from agent import wire
from agent.logs.spool import Spool

BLOCK_BYTES = 1024 * 1024
KEEP_MARK_EVERY = 64
"""Blocks between two notes on disk of how far the sender came; a restart sends a few again."""

LANDMARKS = 4096

ASK_AGAIN_S = 2.0
"""A silent step asks so often whether its last lines are still there, until they are stored."""

PACE_S = 0.05
FULL_BYTES = 256 * 1024
"""Blocks follow each other at this pace, or faster when this much waits: many lines a request."""

LINGER_S = 0.01
"""What is said within this time goes in one block: the last lines of a step go in one request."""

log = logging.getLogger(__name__)


class Delivery(Protocol):
    """Send one block until it is answered.

    Answers the receipt, or the number of the line expected instead. Raises Interrupted to end.
    """

    def __call__(self, first: int, count: int, block: bytes) -> wire.LogReceipt | int: ...


class Sender(threading.Thread):
    """One thread an attempt. `on_receipt` sees every answer; `finished` is set at the end."""

    def __init__(
        self,
        spool: Spool,
        deliver: Delivery,
        on_receipt: Callable[[wire.LogReceipt], None],
        on_end: Callable[[Exception], None],
    ) -> None:
        super().__init__(name="log sender", daemon=True)
        self._spool = spool
        self._deliver = deliver
        self._on_receipt = on_receipt
        self._on_end = on_end
        self.finished = threading.Event()
        mark = spool.marks.get("sent", [spool.first, 0])
        self._line, self._offset = int(mark[0]), int(mark[1])
        # Lines and offsets to go back to; the first line is always among them.
        self._landmarks: list[tuple[int, int]] = [(spool.first, 0)]
        self._blocks = 0
        self._sent_at = 0.0
        self._stored = spool.first - 1

    def run(self) -> None:
        try:
            while not self._spool.is_complete_at(self._offset):
                if self._spool.wait_beyond(self._offset, ASK_AGAIN_S):
                    self._keep_pace()
                    self._send_block()
                elif self._stored < self._line - 1:
                    self._send_again()
        except Exception as error:
            self._on_end(error)
        finally:
            self.finished.set()

    def _keep_pace(self) -> None:
        rest_s = max(LINGER_S, self._sent_at + PACE_S - time.monotonic())
        self._spool.wait_beyond(self._offset + FULL_BYTES, rest_s)
        self._sent_at = time.monotonic()

    def _send_block(self) -> None:
        block = self._spool.read(self._offset, BLOCK_BYTES)
        count = block.count(b"\n")
        answer = self._deliver(self._line, count, block)
        if isinstance(answer, int):
            self.go_to(answer)
            return
        self._note_landmark()
        self._line += count
        self._offset += len(block)
        self._blocks += 1
        self._stored = answer.stored
        self._spool.marks["sent"] = [self._line, self._offset]
        if self._blocks % KEEP_MARK_EVERY == 0:
            self._spool.save_marks()
        self._on_receipt(answer)

    def _send_again(self) -> None:
        """Send received lines once more: a live tail that was lost shows in the answer."""
        line, offset = self._landmarks[-1]
        block = self._spool.read(offset, BLOCK_BYTES)
        answer = self._deliver(line, block.count(b"\n"), block)
        if isinstance(answer, int):
            self.go_to(answer)
            return
        self._stored = answer.stored
        self._on_receipt(answer)

    def _note_landmark(self) -> None:
        if self._landmarks[-1][0] < self._line:
            self._landmarks.append((self._line, self._offset))
        if len(self._landmarks) > LANDMARKS:
            del self._landmarks[1::2]

    def go_to(self, line: int) -> None:
        """Set the reader to a line, forwards or back."""
        log.info("log goes on at line %d", line)
        if not self._spool.first <= line <= self._spool.last_line + 1:
            raise ValueError(f"line {line} is not in this attempt's log")
        start, offset = next(mark for mark in reversed(self._landmarks) if mark[0] <= line)
        while start < line:
            block = self._spool.read(offset, BLOCK_BYTES)
            lines = block.splitlines(keepends=True)[: line - start]
            start += len(lines)
            offset += sum(map(len, lines))
        self._line, self._offset = line, offset
