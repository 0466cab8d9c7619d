"""The async twin of the memory queue, with the same verbs as that of Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from control.domain.ports import Queue, TailBlock
from control.plugins.queues.hub import Hub, Listener


class Watched(Queue, Protocol):
    """A queue that calls us on each wake-up and each push, from any thread."""

    def watch(self, watcher: Callable[[str, str], None]) -> None: ...

    def unwatch(self, watcher: Callable[[str, str], None]) -> None: ...


class AsyncMemoryQueue:
    """Waits for the memory queue without a thread. One event loop, one instance."""

    def __init__(self, queue: Watched) -> None:
        self._queue = queue

    async def pop(self, queues: Sequence[str], wait_s: float) -> tuple[str, str] | None:
        """Take the first execution of the first queue that has one; None after `wait_s`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        async with self.listen(*(f"queue:{queue}" for queue in queues)) as listener:
            while (taken := self._queue.pop(queues, wait_s=0)) is None:
                if await listener.next(deadline - loop.time()) is None:
                    return None
            return taken

    @asynccontextmanager
    async def listen(self, *topics: str) -> AsyncGenerator[Listener]:
        """Listen to topics from the moment the context is entered."""
        loop = asyncio.get_running_loop()
        hub = Hub()

        def hand_over(topic: str, message: str) -> None:
            loop.call_soon_threadsafe(hub.deliver, topic, message)

        async with hub.joined(topics) as listener:
            self._queue.watch(hand_over)
            try:
                yield listener
            finally:
                self._queue.unwatch(hand_over)

    async def read_tail(self, execution_id: str, *, after: int) -> Sequence[TailBlock]:
        """Blocks holding any line above `after`, oldest first."""
        return self._queue.read_tail(execution_id, after=after)

    async def publish(self, topic: str, message: str) -> None:
        """Wake whoever listens to `topic`."""
        self._queue.publish(topic, message)

    async def check(self) -> str:
        """Answer what this is."""
        return self._queue.check()

    async def close(self) -> None:
        """Do nothing: there is no connection."""
