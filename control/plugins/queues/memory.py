"""A queue in memory, for tests: it remembers, wakes up waiters, and forgets all when it ends."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Self

from control.domain.ports import QueueEntry, TailBlock
from control.plugins.queues.memory_async import AsyncMemoryQueue
from control.plugins.queues.names import (
    TAIL_BYTES,
    execution_topic,
    score,
    tail_message,
)


class MemoryQueue:
    """The queue port in dictionaries behind one lock; threads and `as_async()` twins share it."""

    def __init__(
        self, *, tail_bytes: int = TAIL_BYTES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if "PYTEST_VERSION" not in os.environ:
            warnings.warn("The memory queue forgets everything when it ends.", stacklevel=2)
        self._tail_bytes = tail_bytes
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: dict[str, dict[str, int]] = {}
        self._tails: dict[str, list[TailBlock]] = {}
        self._tail_ends: dict[str, float] = {}
        self._watchers: list[Callable[[str, str], None]] = []

    @classmethod
    def from_url(cls, url: str, *, options: Mapping[str, str]) -> Self:
        """Build from `memory://`; option `tail_bytes`."""
        del url
        return cls(tail_bytes=int(options.get("tail_bytes", TAIL_BYTES)))

    def as_async(self) -> AsyncMemoryQueue:
        """Make the twin for an event loop, over the same memory."""
        return AsyncMemoryQueue(self)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def wipe(self) -> None:
        """Forget everything, as a server that is started again does."""
        with self._changed:
            self._waiting.clear()
            self._tails.clear()
            self._tail_ends.clear()

    def watch(self, watcher: Callable[[str, str], None]) -> None:
        """Call `watcher(topic, message)` on each wake-up, in whatever thread it happens.

        A push is one on the topic `queue:<queue>`.
        """
        with self._changed:
            self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[str, str], None]) -> None:
        """Call it no more."""
        with self._changed:
            self._watchers.remove(watcher)

    # -- queues --------------------------------------------------------------------------------
    def push(self, entries: Sequence[QueueEntry]) -> None:
        """Add executions; one that is there already stays where it is."""
        with self._changed:
            for entry in entries:
                queue = self._waiting.setdefault(entry.queue, {})
                queue.setdefault(entry.execution_id, score(entry))
            self._changed.notify_all()
        for queue in dict.fromkeys(entry.queue for entry in entries):
            self._tell(f"queue:{queue}", "")

    def pop(self, queues: Sequence[str], *, wait_s: float) -> tuple[str, str] | None:
        """Take the first execution of the first queue that has one; blocks up to `wait_s`."""
        deadline = time.monotonic() + wait_s
        with self._changed:
            while (taken := self._take(queues)) is None:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return None
                self._changed.wait(left_s)
            return taken

    def _take(self, queues: Sequence[str]) -> tuple[str, str] | None:
        for queue in queues:
            if waiting := self._waiting.get(queue):
                first = min((rank, member) for member, rank in waiting.items())[1]
                del waiting[first]
                return queue, first
        return None

    def discard(self, queue: str, execution_ids: Iterable[str]) -> None:
        """Take executions out; silent for those that are not there."""
        with self._changed:
            for execution_id in execution_ids:
                self._waiting.get(queue, {}).pop(execution_id, None)

    def depth(self, queue: str) -> int:
        """Count what waits."""
        with self._changed:
            return len(self._waiting.get(queue, {}))

    def position(self, queue: str, execution_id: str) -> int | None:
        """The place in the queue, counted from 1."""
        with self._changed:
            waiting = self._waiting.get(queue, {})
            if execution_id not in waiting:
                return None
            mine = (waiting[execution_id], execution_id)
            return 1 + sum((rank, member) < mine for member, rank in waiting.items())

    def members(self, queue: str) -> set[str]:
        """All ids that wait."""
        with self._changed:
            return set(self._waiting.get(queue, {}))

    # -- live tails ----------------------------------------------------------------------------
    def append_tail(self, execution_id: str, block: TailBlock) -> None:
        """Add a block and wake its readers; a repeated one is left out, old ones go."""
        with self._changed:
            self._expire(execution_id)
            tail = self._tails.setdefault(execution_id, [])
            if not tail or block.last > tail[-1].last:
                tail.append(block)
            while len(tail) > 1 and sum(len(kept.text) for kept in tail) > self._tail_bytes:
                tail.pop(0)
        self._tell(execution_topic(execution_id), tail_message(block.last))

    def read_tail(self, execution_id: str, *, after: int) -> Sequence[TailBlock]:
        """Blocks holding any line above `after`, oldest first."""
        with self._changed:
            self._expire(execution_id)
            return [block for block in self._tails.get(execution_id, ()) if block.last > after]

    def drop_tail(self, execution_id: str, *, ttl_s: int) -> None:
        """Let the tail expire after `ttl_s` seconds; zero takes it away at once."""
        with self._changed:
            if execution_id in self._tails:
                self._tail_ends[execution_id] = self._clock() + ttl_s

    def _expire(self, execution_id: str) -> None:
        end = self._tail_ends.get(execution_id)
        if end is not None and self._clock() >= end:
            del self._tail_ends[execution_id]
            self._tails.pop(execution_id, None)

    # -- wake-ups ------------------------------------------------------------------------------
    def publish(self, topic: str, message: str) -> None:
        """Wake whoever listens to `topic`."""
        self._tell(topic, message)

    def check(self) -> str:
        """Answer what this is."""
        return "memory"

    def _tell(self, topic: str, message: str) -> None:
        with self._changed:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher(topic, message)
