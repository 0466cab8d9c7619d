"""A fake control service and real agent processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.agent.fake_control import FakeControl

ROOT = Path(__file__).resolve().parents[2]


class AgentProcess:
    """One agent, started as people start it."""

    def __init__(
        self, control: FakeControl, state: Path, runtime: str, env: dict[str, str]
    ) -> None:
        self.state = state
        self.log = state.parent / f"{state.name}.log"
        self._arguments = [
            sys.executable,
            "-m",
            "agent",
            "--url",
            control.url,
            "--state",
            str(state),
            "--runtime",
            runtime,
        ]
        self._env = os.environ | {"TALKOOT_ENROL_TOKEN": control.enrolment} | env
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._arguments, cwd=ROOT, env=self._env, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """Kill it as the kernel would."""
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        self.process = self._start()

    def ask_to_end(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Make sure nothing of it is left."""
        for _ in range(2):
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()
        for file in self.state.glob("attempts/*/run/supervisor"):
            with contextlib.suppress(ProcessLookupError, ValueError, IndexError):
                os.kill(int(file.read_text().split()[0]), signal.SIGUSR1)


AgentStarter = Callable[..., AgentProcess]


@pytest.fixture
def control() -> Iterator[FakeControl]:
    server = FakeControl()
    yield server
    server.close()


@pytest.fixture
def start_agent(control: FakeControl, tmp_path: Path) -> Iterator[AgentStarter]:
    started: list[AgentProcess] = []

    def start(runtime: str = "process", state: Path | None = None, **env: str) -> AgentProcess:
        place = state or tmp_path / f"agent-{len(started)}"
        agent = AgentProcess(control, place, runtime, env)
        started.append(agent)
        return agent

    yield start
    for agent in started:
        agent.end()


@pytest.fixture
def agent(start_agent: AgentStarter) -> AgentProcess:
    """An agent with the runtime `process`."""
    return start_agent()


@dataclass
class Worker:
    """An agent of one runtime, and what its steps need."""

    agent: AgentProcess
    runtime: str
    image: str


@pytest.fixture(params=["process", "docker"])
def worker(request: pytest.FixtureRequest, start_agent: AgentStarter) -> Worker:
    """An agent, once of each runtime."""
    if request.param == "process":
        return Worker(start_agent(), "process", "none")
    engine = request.getfixturevalue("docker_engine")
    image = request.getfixturevalue("busybox_image")
    return Worker(start_agent("docker", DOCKER_HOST=engine.host), "docker", image)
