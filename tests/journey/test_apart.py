"""Every process by its own command, behind a reverse proxy, as a larger installation runs."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from sqlalchemy import select

from control.database.tables.people import loop_leases
from control.loops.runner import LOOPS
from tests.engines.places import free_port
from tests.engines.processes import wait_until
from tests.engines.s3 import S3Server
from tests.journey.event_stream import Follower
from tests.journey.fixtures import installed
from tests.journey.installation import LIMIT_S, Installation
from tests.journey.project import Project, make_project
from tests.journey.test_run import check_it_ran, training

PIECE_BYTES = 64 * 1024
CLAIM = "/api/v0/agents/claim/"


class Proxy(socketserver.ThreadingTCPServer):
    """Passes each connection's one request on: what waits to the streams, the rest to the web."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, *, web: int, streams: int) -> None:
        super().__init__(("127.0.0.1", port), OneRequest)
        self.ports = {"web": web, "streams": streams}
        self.passed: list[tuple[str, str]] = []

    def choose(self, path: str) -> str:
        path = urlsplit(path).path
        waits = path == CLAIM or path.endswith("/stream") or path.startswith("/store/")
        return "streams" if waits else "web"

    def took(self, ending: str) -> set[str]:
        """Who took the requests to paths of this ending."""
        return {name for name, path in self.passed if path.endswith(ending)}


class OneRequest(socketserver.StreamRequestHandler):
    """Passes a request's head on with `Connection: close`, then bytes both ways."""

    def handle(self) -> None:
        proxy = self.server
        assert isinstance(proxy, Proxy)
        head: list[bytes] = []
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            head.append(line)
        if not line:
            return  # a connection that was never used, or broke off
        path = head[0].split()[1].decode()
        name = proxy.choose(path)
        proxy.passed.append((name, urlsplit(path).path))
        kept = [line for line in head if not line.lower().startswith(b"connection:")]
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", proxy.ports[name])) as upstream,
        ):
            upstream.sendall(b"".join([*kept, b"Connection: close\r\n\r\n"]))
            up = threading.Thread(target=self._pass_up, args=(upstream,), daemon=True)
            up.start()
            while piece := upstream.recv(PIECE_BYTES):
                self.wfile.write(piece)
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _pass_up(self, upstream: socket.socket) -> None:
        """Pass the body on; a client that goes away takes the whole connection with it."""
        with suppress(OSError, ValueError):
            while piece := self.rfile.read1(PIECE_BYTES):
                upstream.sendall(piece)
            upstream.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(port: int, *, web: int, streams: int) -> Iterator[Proxy]:
    with Proxy(port, web=web, streams=streams) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


def answers(url: str, path: str, status: int) -> bool:
    with httpx.Client(base_url=url, trust_env=False) as client:
        try:
            method = "POST" if path == CLAIM else "GET"
            return client.request(method, path).status_code == status
        except httpx.TransportError:
            return False


def leased(place: Installation) -> set[str]:
    """The loops that a process runs."""
    with place.world() as world, world.database.read() as connection:
        return set(connection.scalars(select(loop_leases.c.name)))


def start(place: Installation, *, web: int, streams: int) -> None:
    """Start every process by its own command."""
    assert "Migrated the database" in place.talkoot("migrate")
    data = ("--data", str(place.data))
    place.process("web", "web", "--port", str(web), *data)
    place.process("streams", "streams", "--port", str(streams), *data)
    place.process("loops", "loops", *data)

    def are_up() -> bool:
        assert all(one.is_running for one in place.processes), [p.words for p in place.processes]
        return answers(place.url, "/api/v0/server/", 200) and answers(place.url, CLAIM, 401)

    wait_until(are_up, what="web and streams", limit_s=LIMIT_S, every_s=0.1)
    place.sign_up()
    place.add_environment("apart")
    place.agent("apart", "far")


def test_every_process_apart_runs_a_step_from_git_to_its_outputs(
    tmp_path: Path, postgres_database: str, valkey_url: str, s3_server: S3Server
) -> None:
    environment = {
        "DATABASE_URL": postgres_database,
        "QUEUE_URL": valkey_url,
        "STORE_URL": f"s3://{s3_server.make_bucket()}/talkoot?endpoint={s3_server.endpoint}",
        "AWS_ACCESS_KEY_ID": s3_server.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
        "AWS_REGION": s3_server.region,
    }
    web, streams = free_port(), free_port()
    with (
        installed(tmp_path, environment) as place,
        proxied(place.port, web=web, streams=streams) as proxy,
    ):
        start(place, web=web, streams=streams)
        project = make_project(place, training("python:3.12"), files={"words.txt": "hello\n"})
        check_all_of_it(project)
        assert proxy.took(CLAIM) == proxy.took("/stream") == {"streams"}
        assert proxy.took("/executions/") == proxy.took("/finish/") == {"web"}
        assert leased(place) == {loop.name for loop in LOOPS}
        agent = place.processes[-1]
        agent.stop()  # with the proxy still there: it says goodbye
        assert agent.wait() == 0
        place.stop()
        assert [one.process.returncode for one in place.processes] == [0, 0, 0, 0]
        assert leased(place) == set()


def check_all_of_it(project: Project) -> None:
    execution = project.run(parameters={"n": 7}, environment="apart")
    page = Follower(execution)
    page.follow(cut_after=2)
    check_it_ran(execution)
    assert execution.get()["environment"]["slug"] == "apart"
    assert execution.get("outputs/")[0]["uri"].startswith("s3://")
    events = execution.events()
    assert page.numbers == [one["number"] for one in events]
    assert page.lines == execution.lines("stdout")
