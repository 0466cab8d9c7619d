"""Valkey or Redis 6.2+: queues as sorted sets, live tails as streams, wake-ups by PUBLISH.

Everything here may be wiped at any moment: the database is the truth (decision 2). For code that
runs in an event loop use `as_async()`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from control.domain.ports import QueueEntry, TailBlock
from control.plugins.queues.connection import (
    ANSWER_LIMIT_S,
    COUNT,
    FIRST,
    TEXT,
    check_url,
    connection_settings,
    describe,
    is_repeat,
    reaching_the_server,
    read_block,
)
from control.plugins.queues.names import (
    LONGEST_WAIT_S,
    TAIL_BYTES,
    channel,
    execution_topic,
    queue_key,
    score,
    tail_key,
    tail_message,
)
from control.plugins.queues.valkey_async import AsyncValkeyQueue

_PIECE_COUNT = 1000


class ValkeyQueue:
    """The queue port over one server. Threads may share it; connections are kept and reused."""

    def __init__(
        self, url: str, *, tail_bytes: int = TAIL_BYTES, answer_limit_s: float = ANSWER_LIMIT_S
    ) -> None:
        self._url = url = check_url(url)
        self._tail_bytes = tail_bytes
        self._client = _client(url, answer_limit_s)
        # A blocked pop must not look like a server that hangs, so it has its own connections.
        self._waiting = _client(url, LONGEST_WAIT_S + answer_limit_s)

    @classmethod
    def from_url(cls, url: str, *, options: Mapping[str, str]) -> Self:
        """Build from `redis://host:6379/0`, `rediss://…` or `unix:///path/to/socket`.

        Option: `tail_bytes`, what one live tail may hold. Makes no network call.
        """
        return cls(url, tail_bytes=int(options.get("tail_bytes", TAIL_BYTES)))

    def as_async(self) -> AsyncValkeyQueue:
        """Make the twin for an event loop, over the same server."""
        return AsyncValkeyQueue(self._url)

    def close(self) -> None:
        """Close the connections; the next call would open new ones."""
        self._client.close()
        self._waiting.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- queues --------------------------------------------------------------------------------
    def push(self, entries: Sequence[QueueEntry]) -> None:
        """Add executions in one round trip: ZADD NX leaves what is there where it is."""
        scores: dict[str, dict[str, int]] = defaultdict(dict)
        for entry in entries:
            scores[queue_key(entry.queue)][entry.execution_id] = score(entry)
        with reaching_the_server():
            if len(scores) == 1:  # the usual case, at half the cost of a pipeline
                [(key, members)] = scores.items()
                self._client.zadd(key, members, nx=True)
                return
            with self._client.pipeline(transaction=False) as pipeline:
                for key, members in scores.items():
                    pipeline.zadd(key, members, nx=True)
                pipeline.execute()

    def pop(self, queues: Sequence[str], *, wait_s: float) -> tuple[str, str] | None:
        """Take the first execution of the first queue that has one; blocks up to `wait_s`."""
        keys = [queue_key(queue) for queue in queues]
        deadline = time.monotonic() + wait_s
        with reaching_the_server():
            if wait_s <= 0:
                return self._pop_now(keys)
            while (left_s := deadline - time.monotonic()) > 0:
                # Zero means for ever to the server, and it rounds to milliseconds.
                answer = self._waiting.bzpopmin(keys, max(0.001, min(left_s, LONGEST_WAIT_S)))
                if answer:
                    key, member, _ = answer
                    return key.decode().removeprefix(queue_key("")), member.decode()
        return None

    def _pop_now(self, keys: Sequence[str]) -> tuple[str, str] | None:
        for key in keys:
            if taken := self._client.zpopmin(key):
                return key.removeprefix(queue_key("")), taken[0][0].decode()
        return None

    def discard(self, queue: str, execution_ids: Iterable[str]) -> None:
        """Take executions out; silent for those that are not there."""
        ids = list(execution_ids)
        with reaching_the_server(), self._client.pipeline(transaction=False) as pipeline:
            for start in range(0, len(ids), _PIECE_COUNT):
                pipeline.zrem(queue_key(queue), *ids[start : start + _PIECE_COUNT])
            pipeline.execute()

    def depth(self, queue: str) -> int:
        """Count what waits."""
        with reaching_the_server():
            return int(self._client.zcard(queue_key(queue)))

    def position(self, queue: str, execution_id: str) -> int | None:
        """The place in the queue, counted from 1."""
        with reaching_the_server():
            rank = self._client.zrank(queue_key(queue), execution_id)
        return None if rank is None else int(rank) + 1

    def members(self, queue: str) -> set[str]:
        """All ids that wait, read in pieces so that the server is never held up."""
        with reaching_the_server():
            found = self._client.zscan_iter(queue_key(queue), count=_PIECE_COUNT)
            return {member.decode() for member, _ in found}

    # -- live tails ----------------------------------------------------------------------------
    def append_tail(self, execution_id: str, block: TailBlock) -> None:
        """Add a block and wake its readers, in one round trip.

        An entry's id is the number of its last line: a repeated block is refused by the server,
        silently here. The bound in bytes is approximate: a quarter too much is cut on the next
        block, oldest first.
        """
        key = tail_key(execution_id)
        fields: dict[Any, Any] = {FIRST: block.first, COUNT: block.count, TEXT: block.text}
        with reaching_the_server(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.xadd(key, fields, id=f"{block.last}-1")
            pipeline.memory_usage(key)
            pipeline.xlen(key)
            message = tail_message(block.last)
            pipeline.publish(channel(execution_topic(execution_id)), message)
            added, used_bytes, entry_count, _ = pipeline.execute(raise_on_error=False)
            if isinstance(added, redis.ResponseError) and not is_repeat(added):
                raise added
            excess = int(used_bytes or 0) - self._tail_bytes
            if excess > self._tail_bytes // 4:
                kept = entry_count * self._tail_bytes // used_bytes
                self._client.xtrim(key, maxlen=max(kept, 1), approximate=False)

    def read_tail(self, execution_id: str, *, after: int) -> Sequence[TailBlock]:
        """Blocks holding any line above `after`, oldest first."""
        with reaching_the_server():
            entries = self._client.xrange(tail_key(execution_id), min=f"{max(after, -1) + 1}-0")
        return [read_block(fields) for _, fields in entries]

    def drop_tail(self, execution_id: str, *, ttl_s: int) -> None:
        """Let the tail expire after `ttl_s` seconds; zero takes it away at once."""
        with reaching_the_server():
            self._client.expire(tail_key(execution_id), ttl_s)

    # -- wake-ups ------------------------------------------------------------------------------
    def publish(self, topic: str, message: str) -> None:
        """Wake whoever listens to `topic`."""
        with reaching_the_server():
            self._client.publish(channel(topic), message)

    def check(self) -> str:
        """Answer name and version of the server."""
        with reaching_the_server():
            return describe(self._client.info("server"))


def _client(url: str, answer_limit_s: float) -> Any:
    # One more try at once, on a new connection, when the server closed an idle one. Never after
    # a time-out: a pop may have been answered into it.
    retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    settings = connection_settings(url, answer_limit_s)
    return cast("Any", redis.Redis).from_url(url, retry=retry, **settings)
