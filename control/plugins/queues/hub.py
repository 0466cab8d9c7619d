"""Hands wake-ups to whoever waits in this process; where they come from is another module's."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

_KEPT_COUNT = 1000


@dataclass(frozen=True, slots=True)
class WakeUp:
    """A message on a topic. `topic` is empty when some may have been missed: look at everything."""

    topic: str
    message: str


MISSED = WakeUp("", "")


class Listener:
    """One waiter with a bounded memory: it wakes up once with MISSED rather than keep too many."""

    def __init__(self) -> None:
        self._kept: deque[WakeUp] = deque()
        self._something = asyncio.Event()

    async def next(self, wait_s: float) -> WakeUp | None:
        """Wait for the next wake-up; None after `wait_s` seconds."""
        try:
            async with asyncio.timeout(wait_s):
                await self._something.wait()
        except TimeoutError:
            return None
        wake_up = self._kept.popleft()
        if not self._kept:
            self._something.clear()
        return wake_up

    def give(self, wake_up: WakeUp) -> None:
        """Keep a wake-up for `next`; called in the event loop alone."""
        if wake_up == MISSED or len(self._kept) >= _KEPT_COUNT:
            self._kept.clear()
            wake_up = MISSED
        self._kept.append(wake_up)
        self._something.set()


class Hub:
    """Topics and their listeners."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}

    @asynccontextmanager
    async def joined(self, topics: Iterable[str]) -> AsyncGenerator[Listener]:
        """Add a listener for as long as the context lasts."""
        listener = Listener()
        wanted = set(topics)
        for topic in wanted:
            self._listeners.setdefault(topic, set()).add(listener)
        try:
            yield listener
        finally:
            for topic in wanted:
                left = self._listeners[topic]
                left.discard(listener)
                if not left:
                    del self._listeners[topic]

    def deliver(self, topic: str, message: str) -> None:
        """Wake the listeners of a topic."""
        for listener in self._listeners.get(topic, ()):
            listener.give(WakeUp(topic, message))

    def wake(self, topic: str) -> None:
        """Tell the listeners of a topic that messages may have been missed."""
        for listener in self._listeners.get(topic, ()):
            listener.give(MISSED)

    @property
    def topics(self) -> list[str]:
        """What anybody listens to now."""
        return list(self._listeners)
