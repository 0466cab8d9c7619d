"""A queue server that is wiped, killed or started again while somebody waits for it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
import redis

from control.domain.errors import PermanentError, TemporaryError
from control.plugins.queues.contract import block, entry, heard
from control.plugins.queues.hub import MISSED, WakeUp
from control.plugins.queues.valkey import ValkeyQueue
from control.plugins.queues.valkey_async import AsyncValkeyQueue
from tests.engines.event_loop import finish
from tests.engines.processes import wait_until
from tests.engines.valkey import ValkeyServer

PATIENCE_S = 15.0


@pytest.fixture
def server(valkey_server: ValkeyServer, valkey_url: str) -> Iterator[ValkeyServer]:
    del valkey_url  # which sees to it that the server is up and empty
    yield valkey_server
    valkey_server.ensure_up()


@pytest.fixture
def queue(server: ValkeyServer) -> Iterator[ValkeyQueue]:
    queue = ValkeyQueue.from_url(server.url, options={})
    yield queue
    queue.close()


def with_twin(
    server: ValkeyServer, scenario: Callable[[AsyncValkeyQueue], Awaitable[None]]
) -> None:
    async def whole() -> None:
        twin = AsyncValkeyQueue(server.url)
        try:
            async with asyncio.timeout(PATIENCE_S * 2):
                await scenario(twin)
        finally:
            await twin.close()

    finish(whole())


def waiting_clients(server: ValkeyServer) -> int:
    with redis.Redis.from_url(server.url) as client:
        return int(client.info("clients")["blocked_clients"])


async def until(is_so: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, is_so, what="the scenario", limit_s=PATIENCE_S)


def test_a_wiped_server_holds_nothing_and_takes_everything_again(
    server: ValkeyServer, queue: ValkeyQueue
) -> None:
    queue.push([entry("a")])
    queue.append_tail("x", block(1, 5))
    server.wipe()
    assert queue.depth("e") == 0
    assert list(queue.read_tail("x", after=0)) == []
    queue.push([entry("a")])
    queue.append_tail("x", block(6, 5))
    assert queue.pop(["e"], wait_s=0) == ("e", "a")
    assert [one.first for one in queue.read_tail("x", after=0)] == [6]


def test_a_waiting_pop_outlives_a_wipe(server: ValkeyServer, queue: ValkeyQueue) -> None:
    taken: list[object] = []
    waiter = threading.Thread(target=lambda: taken.append(queue.pop(["e"], wait_s=PATIENCE_S)))
    waiter.start()
    wait_until(lambda: waiting_clients(server) == 1, what="the pop")
    server.wipe()
    queue.push([entry("a")])
    waiter.join(PATIENCE_S)
    assert taken == [("e", "a")]


def test_a_dead_server_is_a_temporary_error_for_every_verb(
    server: ValkeyServer, queue: ValkeyQueue
) -> None:
    queue.check()
    server.kill()
    verbs: list[Callable[[], object]] = [
        lambda: queue.push([entry("a")]),
        lambda: queue.pop(["e"], wait_s=0),
        lambda: queue.pop(["e"], wait_s=PATIENCE_S),
        lambda: queue.discard("e", ["a"]),
        lambda: queue.depth("e"),
        lambda: queue.position("e", "a"),
        lambda: queue.members("e"),
        lambda: queue.append_tail("x", block(1)),
        lambda: queue.read_tail("x", after=0),
        lambda: queue.drop_tail("x", ttl_s=1),
        lambda: queue.publish("t", "m"),
        queue.check,
    ]
    begin = time.monotonic()
    for verb in verbs:
        with pytest.raises(TemporaryError, match="queue server"):
            verb()
    assert time.monotonic() - begin < 5


def test_the_next_call_after_a_restart_connects_by_itself(
    server: ValkeyServer, queue: ValkeyQueue
) -> None:
    queue.push([entry("a")])
    assert queue.pop(["e"], wait_s=1) == ("e", "a")
    server.restart()
    queue.push([entry("b")])
    assert queue.pop(["e"], wait_s=PATIENCE_S) == ("e", "b")


def test_a_pop_that_waits_in_a_loop_sees_its_server_die_and_come_back(
    server: ValkeyServer,
) -> None:
    async def scenario(twin: AsyncValkeyQueue) -> None:
        waiting = asyncio.create_task(twin.pop(["e"], PATIENCE_S))
        await until(lambda: waiting_clients(server) == 1)
        await asyncio.to_thread(server.kill)
        with pytest.raises(TemporaryError):
            await waiting
        with pytest.raises(TemporaryError):
            await twin.pop(["e"], PATIENCE_S)
        await asyncio.to_thread(server.ensure_up)
        waiting = asyncio.create_task(twin.pop(["e"], PATIENCE_S))
        await until(lambda: waiting_clients(server) == 1)
        with redis.Redis.from_url(server.url) as client:
            client.zadd("queue:e", {"a": 1})
        assert await waiting == ("e", "a")

    with_twin(server, scenario)


def test_a_listener_outlives_its_server_and_is_told_that_it_missed_something(
    server: ValkeyServer, queue: ValkeyQueue
) -> None:
    async def scenario(twin: AsyncValkeyQueue) -> None:
        async with twin.listen("a", "b") as listener, twin.listen("a") as other:
            queue.publish("a", "1")
            assert await heard(listener) == WakeUp("a", "1")
            assert await heard(other) == WakeUp("a", "1")
            await asyncio.to_thread(server.restart)
            assert await listener.next(PATIENCE_S) == MISSED
            assert await other.next(PATIENCE_S) == MISSED
            await until(lambda: subscribers(server, "b") == 1)
            queue.publish("b", "2")
            assert await heard(listener) == WakeUp("b", "2")

    with_twin(server, scenario)


def test_a_listener_hears_on_after_a_wipe(server: ValkeyServer, queue: ValkeyQueue) -> None:
    async def scenario(twin: AsyncValkeyQueue) -> None:
        async with twin.listen("a") as listener:
            await asyncio.to_thread(server.wipe)
            queue.publish("a", "1")
            assert await listener.next(PATIENCE_S) == WakeUp("a", "1")

    with_twin(server, scenario)


def test_who_begins_to_listen_while_the_server_is_away_is_told_so(server: ValkeyServer) -> None:
    async def scenario(twin: AsyncValkeyQueue) -> None:
        await asyncio.to_thread(server.kill)
        for _ in range(3):
            with pytest.raises(TemporaryError):
                async with twin.listen("a"):
                    pytest.fail("nothing was there to listen to")
        await asyncio.to_thread(server.ensure_up)

        async def listens_again() -> bool:
            try:
                async with twin.listen("a") as listener:
                    await twin.publish("a", "1")
                    return await heard(listener) == WakeUp("a", "1")
            except TemporaryError:
                return False

        while not await listens_again():
            await asyncio.sleep(0)

    with_twin(server, scenario)


def test_all_listeners_of_a_process_share_one_connection(server: ValkeyServer) -> None:
    async def scenario(twin: AsyncValkeyQueue) -> None:
        async with asyncio.TaskGroup() as group:
            ready = asyncio.Semaphore(0)
            done = asyncio.Event()

            async def listen(topic: str) -> None:
                async with twin.listen(topic, "shared") as listener:
                    ready.release()
                    assert await heard(listener) == WakeUp("shared", "all")
                    await done.wait()

            for number in range(100):
                group.create_task(listen(f"t{number}"))
            for _ in range(100):
                await ready.acquire()
            with redis.Redis.from_url(server.url) as client:
                assert client.publish("talkoot:shared", "all") == 1
                assert client.publish("talkoot:t7", "one") == 1
                names = [one for one in client.client_list() if int(one["sub"]) > 0]
                assert len(names) == 1
            done.set()

    with_twin(server, scenario)


def test_topics_that_nobody_listens_to_are_left(server: ValkeyServer) -> None:
    async def scenario(twin: AsyncValkeyQueue) -> None:
        for number in range(20):
            async with twin.listen(f"t{number}"):
                pass
        async with twin.listen("last"):
            await until(lambda: subscribers(server, "t3") == 0)
            assert subscribers(server, "last") == 1

    with_twin(server, scenario)


def test_a_cancelled_pop_leaves_its_connection(server: ValkeyServer, queue: ValkeyQueue) -> None:
    async def scenario(twin: AsyncValkeyQueue) -> None:
        waiting = asyncio.create_task(twin.pop(["e"], PATIENCE_S))
        await until(lambda: waiting_clients(server) == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: waiting_clients(server) == 0)
        queue.push([entry("a")])
        assert await twin.pop(["e"], PATIENCE_S) == ("e", "a")

    with_twin(server, scenario)


def test_a_server_that_takes_connections_and_says_nothing_is_temporary() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"redis://127.0.0.1:{mute.getsockname()[1]}/0"
        queue = ValkeyQueue(url, answer_limit_s=0.2)
        with pytest.raises(TemporaryError):
            queue.depth("e")
        queue.close()


def test_a_wrong_password_is_permanent_and_is_not_shown(server: ValkeyServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.acl_setuser("guarded", enabled=True, passwords=["+right"], commands=["+@all"])
    address = server.url.replace("//", "//guarded:wrong-secret@")
    queue = ValkeyQueue.from_url(address, options={})
    with pytest.raises(PermanentError, match="credentials") as caught:
        queue.check()
    assert "wrong-secret" not in str(caught.value)
    queue.close()


def test_a_full_server_is_temporary(server: ValkeyServer, queue: ValkeyQueue) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(TemporaryError, match="memory"):
                queue.push([entry("a")])
            with pytest.raises(TemporaryError, match="memory"):
                queue.append_tail("x", block(1))
        finally:
            client.config_set("maxmemory", 0)


@pytest.mark.parametrize(
    "url", ["", "http://host", "memory://", "redis:host", "redis://", "secret@host"]
)
def test_what_is_no_address_of_a_queue_is_refused(url: str) -> None:
    with pytest.raises(PermanentError, match="redis://") as caught:
        ValkeyQueue.from_url(url, options={})
    assert "secret" not in str(caught.value)


def test_an_address_may_say_valkey(server: ValkeyServer) -> None:
    url = server.url.replace("redis://", "valkey://")
    with ValkeyQueue.from_url(url, options={}) as queue:
        queue.push([entry("a"), entry("b", queue="other")])
        assert (queue.depth("e"), queue.depth("other")) == (1, 1)


def subscribers(server: ValkeyServer, topic: str) -> int:
    with redis.Redis.from_url(server.url) as client:
        return int(client.pubsub_numsub(f"talkoot:{topic}")[0][1])
