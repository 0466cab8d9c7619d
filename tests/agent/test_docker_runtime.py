"""The agent with a real container engine."""

from __future__ import annotations

import pytest

from tests.agent.conftest import AgentProcess, AgentStarter
from tests.agent.fake_control import FakeControl
from tests.agent.specs import make_spec
from tests.engines.container_engine import DockerEngine


@pytest.fixture
def agent(start_agent: AgentStarter, docker_engine: DockerEngine) -> AgentProcess:
    return start_agent("docker", DOCKER_HOST=docker_engine.host)


def test_a_step_runs_in_its_container(
    control: FakeControl, agent: AgentProcess, busybox_image: str
) -> None:
    attempt = control.submit(
        make_spec(
            control,
            "cat hello.txt; pwd; env | sort",
            "echo '<\"err\\' >&2; echo out > $VH_OUTPUTS_DIR/a.txt; ls /valohai/config",
            "echo -n no-newline",
            image=busybox_image,
        )
    )
    finish = control.finished(attempt, 60)
    print("\n".join(attempt.lines))
    assert finish["outcome"] == "complete"
    assert attempt.of("o")[:2] == ["hello", "/valohai/repository"]
    assert attempt.of("o")[-1] == "no-newline"
    assert attempt.of("e") == ['<"err\\']
    assert [one["name"] for one in attempt.offered.values()] == ["a.txt"]
