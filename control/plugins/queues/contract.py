"""What every queue must keep to. Subclass it, give a `queue` fixture, and run it with pytest.

`queue` is empty when a test begins. What an implementation may forget (it may be wiped at any
moment) is not asked for here.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from control.domain.ports import Queue, QueueEntry, TailBlock
from control.plugins.queues.hub import MISSED, Listener, WakeUp

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
PATIENCE_S = 10.0
Answer = TypeVar("Answer")


class AsyncQueue(Protocol):
    """What the streams room uses: the verbs that wait, and those that a waiting page needs."""

    async def pop(self, queues: Sequence[str], wait_s: float) -> tuple[str, str] | None: ...

    def listen(self, *topics: str) -> AbstractAsyncContextManager[Listener]: ...

    async def read_tail(self, execution_id: str, *, after: int) -> Sequence[TailBlock]: ...

    async def publish(self, topic: str, message: str) -> None: ...

    async def check(self) -> str: ...

    async def close(self) -> None: ...


class ContractQueue(Queue, Protocol):
    """A queue with its twin."""

    def as_async(self) -> AsyncQueue: ...


def entry(
    execution_id: str, *, queue: str = "e", priority: int = 0, after_s: float = 0
) -> QueueEntry:
    """Make an entry queued `after_s` seconds after noon."""
    return QueueEntry(execution_id, queue, priority, NOON + timedelta(seconds=after_s))


def block(first: int, count: int = 1, text: bytes = b"line\n") -> TailBlock:
    """Make a block of `count` lines."""
    return TailBlock(first, count, text * count)


class QueueContract:
    """The tests."""

    def take_all(self, queue: Queue, *names: str) -> list[str]:
        taken: list[str] = []
        while (found := queue.pop(names or ("e",), wait_s=0)) is not None:
            taken.append(found[1])
        return taken

    # -- queues --------------------------------------------------------------------------------
    def test_the_oldest_comes_first(self, queue: ContractQueue) -> None:
        queue.push([entry("b", after_s=2), entry("a", after_s=1), entry("c", after_s=2.5)])
        assert self.take_all(queue) == ["a", "b", "c"]

    def test_a_millisecond_is_enough_to_be_older(self, queue: ContractQueue) -> None:
        queue.push([entry("a", after_s=0.001), entry("b")])
        assert self.take_all(queue) == ["b", "a"]

    def test_a_tie_is_decided_by_the_id(self, queue: ContractQueue) -> None:
        queue.push([entry("c"), entry("a"), entry("b")])
        assert self.take_all(queue) == ["a", "b", "c"]

    def test_a_higher_priority_comes_first_whatever_its_age(self, queue: ContractQueue) -> None:
        day = 86_400
        queue.push(
            [
                entry("low", priority=-1, after_s=-3650 * day),
                entry("old", after_s=-day),
                entry("young", after_s=day),
                entry("high", priority=1, after_s=3650 * day),
            ]
        )
        assert self.take_all(queue) == ["high", "old", "young", "low"]

    def test_an_extreme_priority_is_still_in_order(self, queue: ContractQueue) -> None:
        queue.push([entry("least", priority=-(10**9)), entry("most", priority=10**9), entry("mid")])
        queue.push([entry("most-later", priority=10**9, after_s=0.001)])
        assert self.take_all(queue) == ["most", "most-later", "mid", "least"]

    def test_pushing_again_changes_nothing(self, queue: ContractQueue) -> None:
        queue.push([entry("a"), entry("b", after_s=1)])
        queue.push([entry("a", after_s=9), entry("a", priority=-5)])
        assert queue.depth("e") == 2
        assert self.take_all(queue) == ["a", "b"]

    def test_pushing_nothing_is_fine(self, queue: ContractQueue) -> None:
        queue.push([])
        assert queue.depth("e") == 0

    def test_an_id_is_taken_once(self, queue: ContractQueue) -> None:
        queue.push([entry("a")])
        assert queue.pop(["e"], wait_s=0) == ("e", "a")
        assert queue.pop(["e"], wait_s=0) is None

    def test_the_first_queue_that_has_one_is_served(self, queue: ContractQueue) -> None:
        queue.push([entry("two", queue="second", priority=100), entry("one", queue="first")])
        for wait_s in (0.0, PATIENCE_S):
            assert queue.pop(["none", "first", "second"], wait_s=wait_s) in {
                ("first", "one"),
                ("second", "two"),
            }
        assert queue.depth("first") == queue.depth("second") == 0

    def test_a_pop_that_waits_prefers_the_queue_named_first(self, queue: ContractQueue) -> None:
        queue.push([entry("two", queue="second", priority=100), entry("one", queue="first")])
        assert queue.pop(["first", "second"], wait_s=PATIENCE_S) == ("first", "one")

    def test_an_empty_queue_answers_after_the_wait_and_not_before(
        self, queue: ContractQueue
    ) -> None:
        begin = time.monotonic()
        assert queue.pop(["e"], wait_s=0.2) is None
        assert 0.15 < time.monotonic() - begin < PATIENCE_S

    def test_a_waiting_pop_is_woken_by_a_push(self, queue: ContractQueue) -> None:
        taken: list[tuple[str, str] | None] = []
        thread = threading.Thread(
            target=lambda: taken.append(queue.pop(["x", "e"], wait_s=PATIENCE_S))
        )
        thread.start()
        queue.push([entry("a")])
        thread.join(PATIENCE_S)
        assert taken == [("e", "a")]

    def test_of_many_takers_each_id_goes_to_one(self, queue: ContractQueue) -> None:
        wanted = {f"id-{number:03}" for number in range(200)}
        taken: list[str] = []
        threads = [
            threading.Thread(target=lambda: taken.extend(self.take_all(queue))) for _ in range(4)
        ]
        queue.push([entry(name) for name in sorted(wanted)])
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert sorted(taken) == sorted(wanted)

    def test_what_is_discarded_is_not_taken(self, queue: ContractQueue) -> None:
        queue.push([entry("a"), entry("b"), entry("c")])
        queue.discard("e", ["a", "c", "nobody"])
        queue.discard("e", [])
        queue.discard("other", ["b"])
        assert self.take_all(queue) == ["b"]

    def test_depth_position_and_members_agree(self, queue: ContractQueue) -> None:
        queue.push([entry(f"id-{n:04}", after_s=n) for n in range(2500)])
        queue.push([entry("urgent", priority=1)])
        assert queue.depth("e") == 2501
        assert queue.position("e", "urgent") == 1
        assert queue.position("e", "id-0000") == 2
        assert queue.position("e", "id-2499") == 2501
        assert queue.position("e", "nobody") is None
        assert queue.members("e") == {f"id-{n:04}" for n in range(2500)} | {"urgent"}
        assert queue.depth("nothing") == 0
        assert queue.members("nothing") == set()

    # -- live tails ----------------------------------------------------------------------------
    def test_a_tail_gives_what_was_appended(self, queue: ContractQueue) -> None:
        blocks = [block(1, 3), TailBlock(4, 1, b"\x00\xff no text\n"), block(5, 2)]
        for one in blocks:
            queue.append_tail("x", one)
        assert list(queue.read_tail("x", after=0)) == blocks
        assert list(queue.read_tail("y", after=0)) == []

    def test_a_tail_is_read_from_any_line_on(self, queue: ContractQueue) -> None:
        for first in (1, 4, 7):
            queue.append_tail("x", block(first, 3))
        assert [one.first for one in queue.read_tail("x", after=3)] == [4, 7]
        assert [one.first for one in queue.read_tail("x", after=4)] == [4, 7]
        assert [one.first for one in queue.read_tail("x", after=8)] == [7]
        assert list(queue.read_tail("x", after=9)) == []

    def test_lines_may_be_counted_from_zero(self, queue: ContractQueue) -> None:
        queue.append_tail("x", block(0))
        queue.append_tail("x", block(1))
        assert [one.first for one in queue.read_tail("x", after=-1)] == [0, 1]
        assert [one.first for one in queue.read_tail("x", after=0)] == [1]

    def test_a_repeated_block_is_not_doubled(self, queue: ContractQueue) -> None:
        for first in (1, 4, 4, 1):
            queue.append_tail("x", block(first, 3))
        assert [one.first for one in queue.read_tail("x", after=0)] == [1, 4]

    def test_a_tail_is_bounded_and_keeps_the_newest(self, queue: ContractQueue) -> None:
        text = b"x" * 65_536
        for number in range(400):
            queue.append_tail("x", TailBlock(number, 1, text))
        kept = [one.first for one in queue.read_tail("x", after=-1)]
        assert kept[-1] == 399
        assert kept == list(range(kept[0], 400))
        assert 4 << 20 < len(kept) * len(text) < 16 << 20

    def test_a_dropped_tail_is_gone_when_its_time_is_over(self, queue: ContractQueue) -> None:
        queue.append_tail("x", block(1))
        queue.drop_tail("x", ttl_s=60)
        assert len(queue.read_tail("x", after=0)) == 1
        queue.drop_tail("x", ttl_s=0)
        assert list(queue.read_tail("x", after=0)) == []
        queue.drop_tail("x", ttl_s=0)
        queue.append_tail("x", block(1))
        assert len(queue.read_tail("x", after=0)) == 1

    # -- wake-ups and the twin -----------------------------------------------------------------
    def test_a_message_that_nobody_waits_for_is_fine(self, queue: ContractQueue) -> None:
        queue.publish("execution:x", "status")

    def test_a_server_names_itself(self, queue: ContractQueue) -> None:
        assert queue.check()

    def test_a_listener_hears_its_topics_alone(self, queue: ContractQueue) -> None:
        async def scenario(twin: AsyncQueue) -> list[WakeUp]:
            async with twin.listen("execution:x", "project:p") as listener:
                queue.publish("execution:other", "no")
                queue.publish("execution:x", "one")
                await twin.publish("project:p", "two")
                return [await heard(listener), await heard(listener)]

        assert run(queue, scenario) == [WakeUp("execution:x", "one"), WakeUp("project:p", "two")]

    def test_every_listener_of_a_topic_hears_it(self, queue: ContractQueue) -> None:
        async def scenario(twin: AsyncQueue) -> set[str]:
            async with twin.listen("t") as first, twin.listen("t") as second:
                async with twin.listen("t"):
                    pass
                queue.publish("t", "hello")
                return {(await heard(first)).message, (await heard(second)).message}

        assert run(queue, scenario) == {"hello"}

    def test_a_topic_can_be_left_and_taken_up_again(self, queue: ContractQueue) -> None:
        async def scenario(twin: AsyncQueue) -> list[str]:
            messages: list[str] = []
            for number in range(5):
                async with twin.listen("t") as listener:
                    queue.publish("t", str(number))
                    messages.append((await heard(listener)).message)
                async with twin.listen("u"):
                    pass
            return messages

        assert run(queue, scenario) == list("01234")

    def test_a_listener_that_hears_nothing_gives_up(self, queue: ContractQueue) -> None:
        async def scenario(twin: AsyncQueue) -> WakeUp | None:
            async with twin.listen("t") as listener:
                return await listener.next(0.05)

        assert run(queue, scenario) is None

    def test_a_listener_that_sleeps_is_told_that_it_missed_some(self, queue: ContractQueue) -> None:
        async def scenario(twin: AsyncQueue) -> WakeUp | None:
            async with twin.listen("t") as slow, twin.listen("t") as quick:
                queue.publish("t", "first")
                await heard(slow)
                for number in range(1500):
                    queue.publish("t", str(number))
                while (await heard(quick)).message != "1499":
                    pass
                return await slow.next(PATIENCE_S)

        assert run(queue, scenario) == MISSED

    def test_a_block_of_a_tail_wakes_its_readers(self, queue: ContractQueue) -> None:
        async def scenario(twin: AsyncQueue) -> tuple[WakeUp, list[int]]:
            async with twin.listen("execution:x") as listener:
                queue.append_tail("x", block(1, 7))
                wake_up = await heard(listener)
                return wake_up, [one.last for one in await twin.read_tail("x", after=0)]

        assert run(queue, scenario) == (WakeUp("execution:x", "log:7"), [7])

    def test_many_pops_wait_side_by_side(self, queue: ContractQueue) -> None:
        names = [f"id-{number:03}" for number in range(150)]

        async def scenario(twin: AsyncQueue) -> list[tuple[str, str] | None]:
            waiting = [asyncio.create_task(twin.pop(["x", "e"], PATIENCE_S)) for _ in names]
            await asyncio.sleep(0)
            queue.push([entry(name) for name in names])
            return await asyncio.gather(*waiting)

        assert sorted(run(queue, scenario), key=str) == [("e", name) for name in names]

    def test_a_pop_of_the_twin_answers_at_once_or_after_the_wait(
        self, queue: ContractQueue
    ) -> None:
        async def scenario(twin: AsyncQueue) -> list[tuple[str, str] | None]:
            return [await twin.pop(["e"], 0), await twin.pop(["e"], 0.05), await twin.pop(["e"], 0)]

        assert run(queue, scenario) == [None, None, None]
        queue.push([entry("a"), entry("b"), entry("c")])
        assert run(queue, scenario) == [("e", "a"), ("e", "b"), ("e", "c")]

    def test_the_twin_names_the_same_server(self, queue: ContractQueue) -> None:
        assert run(queue, lambda twin: twin.check()) == queue.check()


def run(queue: ContractQueue, scenario: Callable[[AsyncQueue], Awaitable[Answer]]) -> Answer:
    """Run a scenario with a twin of its own, in a thread and an event loop of its own."""

    async def whole() -> Answer:
        twin = queue.as_async()
        try:
            async with asyncio.timeout(PATIENCE_S * 2):
                return await scenario(twin)
        finally:
            await twin.close()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(lambda: asyncio.run(whole())).result()


async def heard(listener: Listener) -> WakeUp:
    """Wait for the next wake-up that is about something; a first connection may wake once more."""
    while True:
        wake_up = await listener.next(PATIENCE_S)
        assert wake_up is not None, "nobody woke the listener"
        if wake_up != MISSED:
            return wake_up
