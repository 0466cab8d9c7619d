"""The streams as agents and pages meet them: served by the real server, over real connections."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from granian.constants import Interfaces
from granian.server.embed import Server

from agent import wire
from control.database.rows import AnyRow
from control.domain.ports import TailBlock
from control.domain.states import Status
from control.plugins.queues.memory_async import AsyncMemoryQueue
from control.services import attempts, drains, executions, people, queueing, workers
from control.streams.app import create_streams
from tests.engines.event_loop import finish
from tests.engines.places import free_port
from tests.factories import NOW, Scene
from tests.scaling_scenes import add_group, add_machine

CLAIM = "/api/v0/agents/claim/"
LIMIT_S = 10.0
SHORT_S = 0.2
LONG_S = 20.0


class SeenQueue(AsyncMemoryQueue):
    """Counts the pops that have begun: once there is one, somebody waits."""

    pops = 0

    async def pop(self, queues: Any, wait_s: float) -> tuple[str, str] | None:
        self.pops += 1
        return await super().pop(queues, wait_s)


class Streams:
    """The application on a port, counting the requests that are inside it."""

    def __init__(self, scene: Scene, client: httpx.AsyncClient) -> None:
        queue: Any = scene.world.queue
        self.client = client
        self.queue = SeenQueue(queue)
        self.inside = 0
        self._application = create_streams(scene.world, self.queue)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_request = scope["type"] == "http"
        self.inside += is_request
        try:
            await self._application(scope, receive, send)
        finally:
            self.inside -= is_request

    async def claim(self, token: str, wait_s: float = LONG_S) -> httpx.Response:
        headers = {"Authorization": f"Agent {token}"}
        return await self.client.post(CLAIM, json={"wait_s": wait_s}, headers=headers)

    def waiting(self, token: str, wait_s: float = LONG_S) -> asyncio.Task[httpx.Response]:
        return asyncio.create_task(self.claim(token, wait_s))


@asynccontextmanager
async def served(scene: Scene) -> AsyncIterator[Streams]:
    port = free_port()
    # Many at once, and none kept: a client that goes away closes its connection.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(
        base_url=url, trust_env=False, timeout=30, limits=limits
    ) as client:
        streams = Streams(scene, client)
        server = Server(
            streams,
            address="127.0.0.1",
            port=port,
            interface=Interfaces.ASGI,
            log_enabled=False,
            websockets=False,
            backlog=1024,
        )
        running = asyncio.create_task(server.serve())
        try:
            await until(lambda: _listens(port))
            yield streams
        finally:
            server.stop()
            await running


def _listens(port: int) -> bool:
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    return any(wanted in line for line in Path("/proc/net/tcp").read_text().splitlines())


async def until(is_so: Callable[[], bool]) -> None:
    """Let the server work until it is so."""
    async with asyncio.timeout(LIMIT_S):
        while not is_so():
            await asyncio.sleep(0.01)


def agent_token(scene: Scene, name: str) -> str:
    enrolment = workers.make_enrolment_token(scene.world, "gpu-small", NOW)
    return workers.join(scene.world, wire.Join(enrolment, name, "process", "1"), NOW).agent_token


def run(scene: Scene, story: Callable[[Streams], Coroutine[Any, Any, None]]) -> None:
    async def all_of_it() -> None:
        async with served(scene) as streams:
            await story(streams)

    finish(all_of_it())


@pytest.fixture
def migrated_url(migrated_file: Path, tmp_path: Path) -> str:
    """One kind is enough here: claims on both are checked with the services."""
    shutil.copy(migrated_file, tmp_path)
    return f"sqlite:///{tmp_path}/talkoot.db"


def test_only_a_known_agent_with_a_claim_is_heard(scene: Scene) -> None:
    token = agent_token(scene, "one")
    known = {"Authorization": f"Agent {token}"}
    cases: list[tuple[dict[str, str], bytes, int]] = [
        ({}, b"{}", 401),
        ({"Authorization": "Agent tka_unknown"}, b"{}", 401),
        ({"Authorization": f"Token {token}"}, b"{}", 401),
        (known, b"{", 400),
        (known, b"[]", 400),
        (known, b'{"wait_s": "long"}', 400),
    ]

    async def story(streams: Streams) -> None:
        for headers, body, status in cases:
            answer = await streams.client.post(CLAIM, content=body, headers=headers)
            assert (answer.status_code, body) == (status, body)
            assert answer.json()["detail"]

    run(scene, story)


def test_nothing_queued_is_answered_204_when_the_wait_is_over(scene: Scene) -> None:
    async def story(streams: Streams) -> None:
        answer = await streams.claim(agent_token(scene, "one"), SHORT_S)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.elapsed.total_seconds() >= SHORT_S

    run(scene, story)


def test_a_queued_execution_is_answered_and_started(scene: Scene) -> None:
    async def story(streams: Streams) -> None:
        token = agent_token(scene, "one")
        before = scene.submit(parameters={"epochs": 7}).row.id
        spec = wire.decode(wire.ExecutionSpec, (await streams.claim(token)).json())
        assert spec.execution_id == before
        assert spec.commands == ("echo prepare", "python train.py --epochs=7")
        assert scene.row(before).status == Status.STARTED
        assert scene.held(spec).execution_id == before
        waiting = streams.waiting(token)
        await until(lambda: streams.queue.pops == 2)
        after = scene.submit().row.id
        assert (await waiting).json()["execution_id"] == after

    run(scene, story)


def test_a_stopped_execution_that_is_still_in_the_queue_is_skipped(scene: Scene) -> None:
    stopped, wanted = scene.submit(), scene.submit()
    executions.request_stop(scene.world, scene.caller, stopped, scene.now)
    scene.world.queue.push([queueing.entry_of(stopped.row)])

    async def story(streams: Streams) -> None:
        answer = await streams.claim(agent_token(scene, "one"))
        assert answer.json()["execution_id"] == wanted.row.id
        assert scene.row(stopped.row.id).status == Status.STOPPED

    run(scene, story)


def test_a_draining_worker_is_told_so_and_what_it_took_goes_to_another(scene: Scene) -> None:
    group = add_group(scene, environment="gpu-cloud")
    enrolment = workers.make_enrolment_token(scene.world, "gpu-cloud", NOW)
    joined = workers.join(scene.world, wire.Join(enrolment, "one", "process", "1"), NOW)
    machine_id = add_machine(scene, group, "one", state="ready", worker_id=joined.worker_id)

    async def story(streams: Streams) -> None:
        waiting = streams.waiting(joined.agent_token)
        await until(lambda: streams.queue.pops == 1)
        assert scene.world.database.write(
            lambda connection: drains.ask(connection, machine_id, "idle", NOW)
        )
        execution_id = scene.submit(environment="gpu-cloud").row.id
        answer = await waiting
        assert (answer.status_code, answer.json()["code"]) == (409, "draining")
        assert scene.row(execution_id).status == Status.QUEUED
        queue = scene.world.queue
        await until(lambda: queue.position(group.environment_id, execution_id) == 1)

    run(scene, story)


def test_of_two_waiting_agents_each_gets_an_execution_of_its_own(scene: Scene) -> None:
    async def story(streams: Streams) -> None:
        tokens = [agent_token(scene, name) for name in ("one", "two")]
        waiting = {streams.waiting(token) for token in tokens}
        await until(lambda: streams.inside == 2 and streams.queue.pops > 0)
        for _ in tokens:
            execution_id = scene.submit().row.id
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert [one.result().json()["execution_id"] for one in done] == [execution_id]
            assert scene.row(execution_id).attempt_count == 1

    run(scene, story)


def test_an_agent_that_goes_away_while_it_waits_takes_nothing_with_it(scene: Scene) -> None:
    async def story(streams: Streams) -> None:
        waiting = streams.waiting(agent_token(scene, "one"))
        await until(lambda: streams.queue.pops == 1)
        waiting.cancel()
        await until(lambda: streams.inside == 0)
        execution_id = scene.submit().row.id
        answer = await streams.claim(agent_token(scene, "two"), LONG_S)
        assert answer.json()["execution_id"] == execution_id
        assert scene.row(execution_id).attempt_count == 1

    run(scene, story)


def test_two_hundred_idle_agents_cost_no_thread_each_and_may_all_go_away(scene: Scene) -> None:
    async def story(streams: Streams) -> None:
        token = agent_token(scene, "one")
        assert (await streams.claim(token, SHORT_S)).status_code == 204
        waiting = [streams.waiting(token) for _ in range(200)]
        await until(lambda: streams.inside == 200)
        assert threading.active_count() < 20
        for one in waiting:
            one.cancel()
        await until(lambda: streams.inside == 0)
        assert threading.active_count() < 20
        execution_id = scene.submit().row.id
        assert (await streams.claim(token)).json()["execution_id"] == execution_id

    run(scene, story)


# -- the log as a page follows it --------------------------------------------------------------
def block(first: int, *texts: str) -> TailBlock:
    lines = [f"2030-01-02T03:04:05.{first + i:06d} o {text}\n" for i, text in enumerate(texts)]
    return TailBlock(first, len(texts), "".join(lines).encode())


class Page:
    """A page that follows one log with somebody's token."""

    def __init__(self, streams: Streams, execution: AnyRow, token: str) -> None:
        self._client = streams.client
        self._url = f"/executions/{execution.id}/log/stream"
        self._token = token

    @asynccontextmanager
    async def open(
        self, after: int, last_event_id: int | None = None
    ) -> AsyncIterator[AsyncIterator[tuple[str, str, list[str]]]]:
        """Follow: (event, id, data lines) one after the other."""
        headers = {"Authorization": f"Token {self._token}"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = str(last_event_id)
        query = {"after": after}
        async with self._client.stream("GET", self._url, params=query, headers=headers) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield _events(answer)

    async def status(self, headers: dict[str, str]) -> int:
        return (await self._client.get(self._url, headers=headers)).status_code


async def _events(answer: httpx.Response) -> AsyncIterator[tuple[str, str, list[str]]]:
    held: list[tuple[str, str]] = []
    async for line in answer.aiter_lines():
        if line:
            name, _, text = line.partition(": ")
            held.append((name, text))
            continue
        fields = dict(held)
        if "event" in fields:
            data = [text for name, text in held if name == "data"]
            yield fields["event"], fields["id"], data
        held = []


def test_a_page_follows_a_log_and_resumes_without_gap_or_double(scene: Scene) -> None:
    token = people.add_token(scene.world, "ada", "test", NOW)
    execution = scene.submit().row
    spec = scene.claim()
    assert spec is not None

    def say(first: int, *texts: str) -> None:
        attempts.append_log(scene.world, scene.held(spec), block(first, *texts))

    def texts(data: list[str]) -> list[str]:
        return [line.split(" ", 2)[2] for line in data[1:]]

    async def story(streams: Streams) -> None:
        page = Page(streams, execution, token)
        say(1, "one", "two", "three")
        async with page.open(after=1) as events:
            event, last, data = await anext(events)
            assert (event, last, data[0], texts(data)) == ("lines", "3", "2 2", ["two", "three"])
            say(4, "four")
            event, last, data = await anext(events)
            assert (event, last, data[0], texts(data)) == ("lines", "4", "4 1", ["four"])
        say(5, "five")
        # A browser asks its first address again: what it says it has had ranks above `after`.
        async with page.open(after=1, last_event_id=4) as events:
            event, last, data = await anext(events)
            assert (event, last, data[0], texts(data)) == ("lines", "5", "5 1", ["five"])
            scene.finish(spec, log_last=5)
            assert [one async for one in events] == [("end", "5", ["5"])]

    run(scene, story)


def test_a_log_is_for_those_who_may_read_the_project(scene: Scene) -> None:
    people.add_user(scene.world, "stranger", None, False, NOW)
    stranger = people.add_token(scene.world, "stranger", "test", NOW)
    execution = scene.submit().row

    async def story(streams: Streams) -> None:
        page = Page(streams, execution, stranger)
        assert await page.status({"Authorization": f"Token {stranger}"}) == 404
        assert await page.status({"Authorization": "Token tkt_unknown"}) == 401
        assert await page.status({}) == 401

    run(scene, story)
