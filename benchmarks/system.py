"""A Talkoot of our own for one run: started, filled and used only as its users do.

Everything goes through the command `talkoot` and the API, so that a figure is what a user gets.
"""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.http_client import Client
from benchmarks.processes import (
    BenchError,
    free_port,
    listens,
    start,
    stop,
    tail,
    wait_until,
)

USER = "bench"
NO_SETTINGS = {"DATABASE_URL": "", "QUEUE_URL": "", "STORE_URL": ""}  # of whoever runs the bench
PASSWORD = "only-for-the-bench"  # of a server on loopback that lives for one run
ENVIRONMENT = "bench"
ENDED = frozenset({"complete", "error", "stopped", "crashed"})
START_LIMIT_S = 60.0


def _talkoot() -> str:
    return str(Path(sys.executable).with_name("talkoot"))


@dataclass(slots=True)
class Talkoot:
    """One installation: its data directory, settings and ports."""

    folder: Path
    env: dict[str, str]
    api_port: int
    streams_port: int
    token: str = ""
    project: str = ""
    commit: str = ""
    logs: list[Path] = field(default_factory=list)

    def client(self) -> Client:
        """Open a connection as the bench's user."""
        return Client(self.api_port, f"Token {self.token}")

    def command(self, *words: str, given: str | None = None) -> str:
        """Run a `talkoot` command on this installation; answer what it printed."""
        done = subprocess.run(
            [_talkoot(), *words, "--data", str(self.folder)],
            env={**os.environ, **self.env},
            cwd=self.folder.parent,  # no `.env` of the caller
            input=given,
            capture_output=True,
            text=True,
            timeout=START_LIMIT_S,
            check=False,
        )
        if done.returncode:
            said = (done.stderr or done.stdout)[-800:].strip()
            raise BenchError(f"talkoot {' '.join(words)} failed: {said}")
        return done.stdout.strip()

    def submission(self, step: str) -> dict[str, object]:
        """Build the body of a POST that submits a step, as `vh` sends it."""
        return {
            "project": self.project,
            "commit": self.commit,
            "step": step,
            "parameters": {},
            "inputs": {},
            "environment": ENVIRONMENT,
            "environment_variables": {},
            "runtime_config": {},
            "tags": [],
        }

    def populate(self, config: str) -> None:
        """Make the user, the environment, a project, and a commit whose steps are `config`."""
        self.command("admin", "user", "add", USER, "--admin", "--password-stdin", given=PASSWORD)
        self.token = self.command("admin", "token", "add", USER).split()[-1]
        self.command("admin", "environment", "add", ENVIRONMENT)
        with_client = self.client()
        project = with_client.call("POST", "/api/v0/projects/", {"name": "bench"}).body
        self.project = project["id"]
        commit = with_client.upload(
            f"/api/v0/projects/{self.project}/import-package/",
            {"description": "bench", "yaml_path": "valohai.yaml"},
            "data",
            _package(config),
        )
        self.commit = commit.body["identifier"]
        with_client.close()

    def submit(self, client: Client, step: str) -> str:
        """Submit a step; answer the execution's id."""
        return client.call("POST", "/api/v0/executions/", self.submission(step)).body["id"]

    def detail(self, client: Client, execution: str) -> dict[str, Any]:
        """Look an execution up."""
        return client.call("GET", f"/api/v0/executions/{execution}/").body

    def finished(self, client: Client, execution: str, limit_s: float) -> dict[str, Any]:
        """Wait until an execution has ended; raises BenchError when it did not end well."""
        path = f"/api/v0/executions/{execution}/?exclude=outputs,tags"
        found: dict[str, Any] = {}

        def has_ended() -> bool:
            found.update(client.call("GET", path).body)
            return found["status"] in ENDED

        wait_until(has_ended, "the end of an execution", limit_s)
        if found["status"] != "complete":
            raise BenchError(f"An execution ended as {found['status']}: {found['status_detail']}")
        return found

    def continue_as(self, other: Talkoot) -> None:
        """Use the account and the project of the same installation, started before."""
        self.token, self.project, self.commit = other.token, other.project, other.commit

    def enrolment_token(self) -> str:
        """Make a single-use token by which one agent joins the bench's environment."""
        return self.command("admin", "enrol", ENVIRONMENT).split()[-1]

    @contextmanager
    def agent(self, runtime: str, engine: str, token: str | None = None) -> Iterator[Agent]:
        """Keep a real agent up; without a token it goes on with the identity it has."""
        kept = Agent(self, runtime, engine, token)
        kept.start()
        try:
            yield kept
        finally:
            kept.stop()


class Agent:
    """The real agent, `talkoot agent`, as a process that can be killed and started again."""

    def __init__(self, system: Talkoot, runtime: str, engine: str, token: str | None) -> None:
        self._system = system
        self._argv = [_talkoot(), "agent", "--url", f"http://127.0.0.1:{system.api_port}"]
        self._argv += ["--state", str(system.folder.parent / "agent"), "--runtime", runtime]
        self._env = {"DOCKER_HOST": engine, "TALKOOT_ENROL_TOKEN": token or ""}
        self.log = system.folder.parent / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, again after a kill."""
        self._process = start(self._argv, self.log, env=self._env, cwd=self._system.folder.parent)

    def kill(self) -> None:
        """End it as a power cut would, without a chance to tidy up."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=10)

    def stop(self) -> None:
        """End it as an operator would."""
        if self._process is not None:
            stop(self._process, grace_s=15)


def _package(config: str) -> bytes:
    """Pack a commit as `vh --adhoc` does: a gzip tar with the configuration in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tree:
        member = tarfile.TarInfo("valohai.yaml")
        member.size = len(config.encode())
        tree.addfile(member, io.BytesIO(config.encode()))
    return gzip.compress(packed.getvalue(), mtime=0)


def _is_ready(port: int) -> bool:
    if not listens(port):
        return False
    try:
        return Client(port).send("GET", "/api/v0/server/", None, "application/json").status < 500
    except OSError:
        return False


@contextmanager
def _keep_up(system: Talkoot, words: list[str], port: int | None) -> Iterator[None]:
    log = system.folder.parent / f"{system.folder.name}-{words[0]}.log"
    system.logs.append(log)
    argv = [_talkoot(), *words, "--data", str(system.folder)]
    process = start(argv, log, env=system.env, cwd=system.folder.parent)
    try:
        if port is not None:
            wait_until(
                lambda: _is_ready(port) or process.poll() is not None,
                f"the answer of talkoot {words[0]}",
                START_LIMIT_S,
            )
        if process.poll() is not None:
            raise BenchError(f"talkoot {words[0]} ended: {tail(log)}")
        yield
    finally:
        stop(process, grace_s=15)


@contextmanager
def one_machine(scratch: Path, env: Mapping[str, str] | None = None) -> Iterator[Talkoot]:
    """Run `talkoot serve`: SQLite, a queue server as its child, one port for all."""
    port = free_port()
    system = Talkoot(scratch / "serve", {**NO_SETTINGS, **(env or {})}, port, port)
    words = ["serve", "--port", str(port), "--runtime", "process"]
    with _keep_up(system, words, port):
        yield system


@contextmanager
def production(scratch: Path, database_url: str, queue_url: str) -> Iterator[Talkoot]:
    """Run `web`, `streams` and `loops` apart, on the given database and queue server."""
    env = {**NO_SETTINGS, "DATABASE_URL": database_url, "QUEUE_URL": queue_url}
    system = Talkoot(scratch / "apart", env, free_port(), free_port())
    system.folder.mkdir(exist_ok=True)
    system.command("migrate")
    with ExitStack() as stack:
        for name, port in (("web", system.api_port), ("streams", system.streams_port)):
            stack.enter_context(_keep_up(system, [name, "--port", str(port)], port))
        stack.enter_context(_keep_up(system, ["loops"], None))
        yield system
