"""Hands queued executions to waiting agents: one blocking pop an environment, many waiters.

A waiter costs a future, not a thread and not a connection (performance-anchors.md section 4).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

import structlog

from control.domain.errors import TemporaryError
from control.services import queueing
from control.services.world import World

log = structlog.get_logger()

POP_WAIT_S = 10.0


class AsyncQueue(Protocol):
    """What the streams need of a queue plug-in's async twin."""

    async def pop(self, queues: list[str], wait_s: float) -> tuple[str, str] | None:
        """Take the first execution of the first queue that has one."""
        ...

    def listen(self, *topics: str) -> Any:
        """Listen to topics within an async context."""
        ...

    async def publish(self, topic: str, message: str) -> None:
        """Wake whoever listens."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class Dispatcher:
    """The waiters of each environment, first come first served."""

    def __init__(self, world: World, queue: AsyncQueue) -> None:
        self._world = world
        self._queue = queue
        self._waiters: dict[str, deque[asyncio.Future[str]]] = {}
        self._pumps: dict[str, asyncio.Task[None]] = {}

    async def next(self, environment_id: str, wait_s: float) -> str | None:
        """Wait for an execution of an environment; None after `wait_s` seconds."""
        waiter: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(environment_id, deque()).append(waiter)
        if environment_id not in self._pumps:
            self._pumps[environment_id] = asyncio.create_task(self._pump(environment_id))
        try:
            async with asyncio.timeout(wait_s):
                return await waiter
        except TimeoutError:
            return None
        except asyncio.CancelledError:
            # The agent has gone away just as its execution came: somebody else must have it.
            if waiter.done() and not waiter.cancelled():
                self.give_back(waiter.result())
            raise

    async def _pump(self, environment_id: str) -> None:
        """Pop for as long as somebody waits."""
        waiters = self._waiters[environment_id]
        try:
            while self._first(waiters) is not None:
                try:
                    popped = await self._queue.pop([environment_id], POP_WAIT_S)
                except TemporaryError as error:
                    log.info("queue_unreachable", error=error.message)
                    await asyncio.sleep(0.5)
                    continue
                if popped is None:
                    continue
                waiter = self._first(waiters)
                if waiter is None:
                    self.give_back(popped[1])
                else:
                    waiter.set_result(popped[1])
        finally:
            del self._pumps[environment_id]

    @staticmethod
    def _first(waiters: deque[asyncio.Future[str]]) -> asyncio.Future[str] | None:
        while waiters and waiters[0].done():
            waiters.popleft()
        return waiters[0] if waiters else None

    def give_back(self, execution_id: str) -> None:
        """Put an execution that was taken for nobody into its old place."""
        task = asyncio.create_task(asyncio.to_thread(queueing.requeue, self._world, [execution_id]))
        task.add_done_callback(lambda done: done.exception() if not done.cancelled() else None)

    async def close(self) -> None:
        """Let everybody go."""
        for pump in list(self._pumps.values()):
            pump.cancel()
        await asyncio.gather(*self._pumps.values(), return_exceptions=True)
