"""Work that may wait for the network for a long time, in a thread that can be left behind.

A thread that waits for a silent server cannot be woken. So the work is done aside, and who asked
for it looks every moment whether it is still wanted; when it is not, the thread is left to its
own time-out, after which it finds itself left and touches nothing any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

CHECK_EVERY_S = 0.2


class Left(Exception):
    """Nobody wants the work any more; ends its thread and is seen by nobody."""


@dataclass
class Aside(Generic[T]):
    """One piece of work. Whatever it does to the world it does inside `wanted()`."""

    work: Callable[[Aside[T]], T]
    _is_left: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _done: threading.Event = field(default_factory=threading.Event)
    _result: list[T] = field(default_factory=list)
    _error: BaseException | None = None

    @contextmanager
    def wanted(self) -> Generator[None]:
        """Do a short thing only while the work is wanted. Raises Left."""
        with self._lock:
            if self._is_left:
                raise Left
            yield

    def run(self, name: str, check: Callable[[], None]) -> T:
        """Give what the work gives, or raise what it or `check` raises."""
        threading.Thread(target=self._run, name=name, daemon=True).start()
        while not self._done.wait(CHECK_EVERY_S):
            try:
                check()
            except BaseException:
                with self._lock:
                    self._is_left = True
                raise
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _run(self) -> None:
        with self:
            self._result.append(self.work(self))

    def __enter__(self) -> None:
        """Begin the work."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        """Keep the error for who waits."""
        self._error = error
        self._done.set()
        return True
