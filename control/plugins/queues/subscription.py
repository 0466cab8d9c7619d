"""One subscribed connection a process, kept alive; what arrives goes to the hub.

Two tasks work on it: one reads for ever and connects again when the server went away; whoever
begins to listen asks `cover` for new channels and waits until the server has confirmed them, so
that nothing published later can be missed. Channels nobody listens to any more are left when the
next ones are taken.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from redis import exceptions

from control.plugins.queues.hub import Hub
from control.plugins.queues.names import channel

_CONFIRM_LIMIT_S = 5.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_ALIVE = "alive"  # a channel that keeps the connection subscribed when nobody listens
_PROBE_S = 15.0  # a dead peer that sent no FIN is found by a PING after this long


class Subscription:
    """Lives in one event loop, from the first `cover` to `close`."""

    def __init__(self, make_client: Callable[[], Any], hub: Hub) -> None:
        self._make_client = make_client
        self._hub = hub
        self._reader: asyncio.Task[None] | None = None
        self._pubsub: Any = None
        self._confirmed: set[str] = set()
        self._asked: set[str] = set()  # of the server, over the present connection
        self._covered: set[str] = set()  # stays while the connection is lost, unlike the others
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self._failure: Exception | None = None

    async def cover(self, channels: Sequence[str]) -> None:
        """Return when the server has confirmed the channels.

        Raises what redis-py raises when the server can not be reached now; the reader goes on
        trying for those who listen already.
        """
        if self._reader is None or self._reader.done():
            self._failure = None
            self._reader = asyncio.create_task(self._read_for_ever())
        try:
            async with asyncio.timeout(_CONFIRM_LIMIT_S):
                await self._until_confirmed(set(channels))
        except TimeoutError as error:
            raise exceptions.TimeoutError("no confirmation of a subscription") from error

    async def close(self) -> None:
        """Stop reading and close the connection."""
        if self._reader is None:
            return
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        self._reader = None

    async def _until_confirmed(self, wanted: set[str]) -> None:
        while wanted - self._confirmed:
            if self._failure is not None:
                raise self._failure
            self._changed.clear()
            if self._pubsub is not None and (missing := wanted - self._asked):
                await self._exchange(self._pubsub, missing)
            else:
                await self._changed.wait()

    async def _exchange(self, pubsub: Any, missing: set[str]) -> None:
        self._asked |= missing
        try:
            async with self._writing:
                await pubsub.subscribe(*missing)
        except BaseException:  # a cancelled waiter must not leave a question that was never sent
            self._asked -= missing
            raise
        async with self._writing:
            used = {channel(topic) for topic in self._hub.topics} | {channel(_ALIVE)}
            if idle := self._confirmed - used:
                for known in (self._confirmed, self._covered, self._asked):
                    known -= idle
                await pubsub.unsubscribe(*idle)

    async def _read_for_ever(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            client = self._make_client()
            try:
                async with client.pubsub() as pubsub:
                    await self._read_from(pubsub)
            except (exceptions.RedisError, OSError) as error:
                pause_s = (
                    _FIRST_PAUSE_S if self._failure is None else min(pause_s * 2, _LONGEST_PAUSE_S)
                )
                self._failure = error
                self._changed.set()
            finally:
                await client.aclose()
            await asyncio.sleep(pause_s)

    async def _read_from(self, pubsub: Any) -> None:
        wanted = {channel(topic) for topic in self._hub.topics}
        self._covered &= wanted
        await pubsub.subscribe(channel(_ALIVE), *wanted)
        self._pubsub, self._failure, self._asked = pubsub, None, wanted
        self._changed.set()
        try:
            while True:
                await self._read_one(pubsub)
        finally:
            # Before the connection closes, so that nobody subscribes on a closed one.
            self._pubsub = None
            self._confirmed.clear()
            self._changed.set()

    async def _read_one(self, pubsub: Any) -> None:
        message = await pubsub.get_message(timeout=_PROBE_S)
        if message is None:
            await pubsub.ping()
            message = await pubsub.get_message(timeout=_CONFIRM_LIMIT_S)
        if message is None:
            raise exceptions.TimeoutError("no answer to a PING")
        name = message["channel"].decode() if message["channel"] else ""
        if message["type"] == "subscribe":
            self._confirm(name)
        elif message["type"] == "message":
            self._hub.deliver(name.removeprefix(channel("")), message["data"].decode())

    def _confirm(self, name: str) -> None:
        self._confirmed.add(name)
        self._changed.set()
        if name in self._covered:  # a new connection took the channel up again
            self._hub.wake(name.removeprefix(channel("")))
        self._covered.add(name)
