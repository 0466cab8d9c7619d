"""The async twin for the streams room: many claims and log pages wait here, none holds a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from control.domain.ports import TailBlock
from control.plugins.queues.connection import (
    ANSWER_LIMIT_S,
    check_url,
    connection_settings,
    describe,
    reaching_the_server,
    read_block,
)
from control.plugins.queues.hub import Hub, Listener
from control.plugins.queues.names import LONGEST_WAIT_S, channel, queue_key, tail_key
from control.plugins.queues.subscription import Subscription


class AsyncValkeyQueue:
    """The verbs that wait, and those that a waiting page needs. One event loop, one instance."""

    def __init__(self, url: str) -> None:
        url = check_url(url)
        self._client = _client(url, ANSWER_LIMIT_S)
        # One connection a waiting pop; nothing else blocks.
        self._waiting = _client(url, LONGEST_WAIT_S + ANSWER_LIMIT_S)
        self._hub = Hub()
        self._subscription = Subscription(lambda: _client(url, None), self._hub)

    async def pop(self, queues: Sequence[str], wait_s: float) -> tuple[str, str] | None:
        """Take the first execution of the first queue that has one: (queue, execution id).

        None after `wait_s` seconds. A call that is cancelled may take an id with it, as a taker
        that dies does: the healing loop puts it back. Raises TemporaryError as soon as the
        connection is lost; the next call connects again.
        """
        keys = [queue_key(queue) for queue in queues]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        with reaching_the_server():
            if wait_s <= 0:
                return await self._pop_now(keys)
            while (left_s := deadline - loop.time()) > 0:
                answer = await self._waiting.bzpopmin(keys, max(0.001, min(left_s, LONGEST_WAIT_S)))
                if answer:
                    key, member, _ = answer
                    return key.decode().removeprefix(queue_key("")), member.decode()
        return None

    async def _pop_now(self, keys: Sequence[str]) -> tuple[str, str] | None:
        for key in keys:
            if taken := await self._client.zpopmin(key):
                return key.removeprefix(queue_key("")), taken[0][0].decode()
        return None

    @asynccontextmanager
    async def listen(self, *topics: str) -> AsyncGenerator[Listener]:
        """Listen to topics from the moment the context is entered.

        All listeners of a process share one connection. Messages are wake-ups: what was published
        while the server was away is lost, so after a reconnection each listener is woken once.
        Raises TemporaryError when the server does not answer now.
        """
        async with self._hub.joined(topics) as listener:
            with reaching_the_server():
                await self._subscription.cover([channel(topic) for topic in topics])
            yield listener

    async def read_tail(self, execution_id: str, *, after: int) -> Sequence[TailBlock]:
        """Blocks holding any line above `after`, oldest first."""
        with reaching_the_server():
            start = f"{max(after, -1) + 1}-0"
            entries = await self._client.xrange(tail_key(execution_id), min=start)
        return [read_block(fields) for _, fields in entries]

    async def publish(self, topic: str, message: str) -> None:
        """Wake whoever listens to `topic`."""
        with reaching_the_server():
            await self._client.publish(channel(topic), message)

    async def check(self) -> str:
        """Answer name and version of the server."""
        with reaching_the_server():
            return describe(await self._client.info("server"))

    async def close(self) -> None:
        """Stop listening and close the connections."""
        await self._subscription.close()
        await self._client.aclose()
        await self._waiting.aclose()


def _client(url: str, answer_limit_s: float | None) -> Any:
    settings = connection_settings(url, answer_limit_s)
    return cast("Any", redis.Redis).from_url(url, retry=Retry(NoBackoff(), 0), **settings)
