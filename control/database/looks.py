"""Identical questions that wait at the same moment are asked once.

An answer goes only to those who asked before its look began, so nobody sees anything older than a
look of their own would have shown: no cache, no life time, nothing to forget after a write. Alone,
a question costs what it costs; among 64 equal requests it is asked a few times instead of 64.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class _Question:
    """One key: the look that has not begun, and the right to run one."""

    __slots__ = ("leaders", "next", "running", "sharing")

    def __init__(self) -> None:
        self.running = threading.Lock()
        self.next: Future[Any] | None = None
        self.leaders = 0
        self.sharing = 0  # with the leader of `next`


class SharedLooks:
    """Threads that ask for the same key while a look runs share the next one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._questions: dict[Hashable, _Question] = {}

    def ask(self, key: Hashable, look: Callable[[], T]) -> T:
        """Answer with a look that begins after this call; an error goes to all who share it."""
        with self._lock:
            question = self._questions.setdefault(key, _Question())
            if question.next is not None:
                shared = question.next
                question.sharing += 1
                is_leader = False
            else:
                shared = question.next = Future()
                question.leaders += 1
                question.sharing = 1
                is_leader = True
        if is_leader:
            self._lead(key, question, shared, look)
        return shared.result()

    def waiting(self, key: Hashable) -> int:
        """Count who waits for the look of a key that has not begun."""
        with self._lock:
            question = self._questions.get(key)
            return question.sharing if question is not None and question.next is not None else 0

    def __len__(self) -> int:
        """Count the keys that somebody asks for now."""
        with self._lock:
            return len(self._questions)

    def _lead(
        self, key: Hashable, question: _Question, shared: Future[Any], look: Callable[[], Any]
    ) -> None:
        with question.running:
            with self._lock:
                question.next = None  # who comes from now on waits for a later look
            try:
                shared.set_result(look())
            except BaseException as error:  # noqa: BLE001 -- it belongs to all who wait for it
                shared.set_exception(error)
        with self._lock:
            question.leaders -= 1
            if question.leaders == 0 and question.next is None:
                del self._questions[key]
