"""A stop reaches an agent that waits for a server which says nothing any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from agent import wire
from tests.agent.conftest import AgentProcess, AgentStarter
from tests.agent.fake_control import FakeAttempt, FakeControl
from tests.agent.silent_server import SilentServer
from tests.agent.specs import make_spec
from tests.engines.container_engine import DockerEngine
from tests.engines.processes import wait_until

SOON_S = 5.0
"""Far below every read time-out of the agent; most of it is for a busy machine."""

NOTHING = b""
A_BEGINNING = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nthe first bytes"

ONE_OF_THEM = pytest.mark.parametrize(
    ("silent", "stalled"), [(A_BEGINNING, "inputs")], indirect=True, ids=["inputs"]
)


@pytest.fixture(params=[NOTHING, A_BEGINNING], ids=["no answer", "a beginning"])
def silent(request: pytest.FixtureRequest) -> Iterator[SilentServer]:
    server = SilentServer(request.param)
    yield server
    server.close()


def code_from(server: SilentServer) -> wire.CodeSource:
    return wire.CodeSource(f"http://{server.address}/code.tar.gz", "0" * 64, 1_000_000)


def input_from(server: SilentServer) -> tuple[wire.InputSpec, ...]:
    url = f"http://{server.address}/a.txt"
    return (wire.InputSpec("data", (wire.InputFile("a.txt", uri=url, url=url),)),)


@pytest.fixture(params=["code", "inputs"])
def stalled(
    request: pytest.FixtureRequest, control: FakeControl, silent: SilentServer
) -> Callable[[], FakeAttempt]:
    """Submit an execution whose code or input stalls."""

    def submit() -> FakeAttempt:
        spec = make_spec(control, "echo never")
        if request.param == "code":
            return control.submit(replace(spec, code=code_from(silent)))
        return control.submit(replace(spec, inputs=input_from(silent)))

    return submit


def test_a_stop_reaches_a_download_that_stalls(
    control: FakeControl,
    agent: AgentProcess,
    silent: SilentServer,
    stalled: Callable[[], FakeAttempt],
) -> None:
    attempt = stalled()
    assert silent.asked.wait(30)
    attempt.order = ("stop", "Stop requested by ada.")
    assert control.finished(attempt, SOON_S)["reason"] == "stopped_by_user"
    following = control.submit(make_spec(control, "echo next"))
    assert control.finished(following, 30)["outcome"] == "complete"


def test_a_stop_reaches_who_waits_for_another_slots_download(
    control: FakeControl, start_agent: AgentStarter, silent: SilentServer
) -> None:
    start_agent(TALKOOT_AGENT_SLOTS="2")
    first, second = (
        control.submit(make_spec(control, "echo never", inputs=input_from(silent)))
        for _ in range(2)
    )
    assert silent.asked.wait(30)
    control.wait_for(
        lambda: all(("inputs", "started") in one.phases for one in (first, second)),
        "both want the input",
    )
    for attempt in (second, first):
        attempt.order = ("stop", "")
        assert control.finished(attempt, SOON_S)["reason"] == "stopped_by_user"


@ONE_OF_THEM
def test_a_fenced_attempt_lets_go_of_a_download_that_stalls(
    control: FakeControl,
    agent: AgentProcess,
    silent: SilentServer,
    stalled: Callable[[], FakeAttempt],
) -> None:
    attempt = stalled()
    assert silent.asked.wait(30)
    attempt.is_fenced = True
    folder = agent.state / "attempts" / attempt.spec.attempt_id
    wait_until(lambda: not folder.exists(), what="the attempt's folder gone", limit_s=SOON_S)


@pytest.mark.parametrize("when", ["live", "at the end"])
def test_a_fenced_attempt_lets_go_of_an_upload_that_stalls(
    control: FakeControl, agent: AgentProcess, when: str
) -> None:
    store = SilentServer()
    control.output_store = f"http://{store.address}"
    write = "cd $VH_OUTPUTS_DIR; echo x > a"
    live = "; chmod 444 a; while :; do sleep 0.05; done"
    command = write + (live if when == "live" else "")
    attempt = control.submit(make_spec(control, command))
    assert store.asked.wait(30)
    attempt.is_fenced = True
    folder = agent.state / "attempts" / attempt.spec.attempt_id
    wait_until(lambda: not folder.exists(), what="the attempt's folder gone", limit_s=SOON_S)
    store.close()


@ONE_OF_THEM
def test_an_agent_that_is_stopped_does_not_wait_for_a_server_that_is_silent(
    control: FakeControl,
    agent: AgentProcess,
    silent: SilentServer,
    stalled: Callable[[], FakeAttempt],
) -> None:
    stalled()
    assert silent.asked.wait(30)
    agent.ask_to_end()
    control.wait_for(lambda: control.beats[-1]["is_draining"], "it drains")
    agent.ask_to_end()
    assert agent.process.wait(SOON_S) == 0


def test_a_stop_reaches_a_pull_that_stalls(
    control: FakeControl, start_agent: AgentStarter, docker_engine: DockerEngine
) -> None:
    registry = SilentServer()
    start_agent("docker", DOCKER_HOST=docker_engine.host)
    attempt = control.submit(make_spec(control, "true", image=f"{registry.address}/step:1"))
    assert registry.asked.wait(30)
    attempt.order = ("stop", "Stop requested by ada.")
    assert control.finished(attempt, SOON_S)["reason"] == "stopped_by_user"
    registry.close()
