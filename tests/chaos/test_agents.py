"""An agent is killed in the middle of its work."""

from __future__ import annotations

import signal
import uuid
from pathlib import Path

import pytest

from tests.engines.container_engine import DockerEngine
from tests.engines.processes import wait_until
from tests.journey.fixtures import containers, no_container_is_left
from tests.journey.installation import Installation, kill
from tests.journey.project import WAIT_FOR_GATE, Execution, Project, make_project, step

COUNT = "seq 1 2000"
HALVES = (
    'echo run >> "$RUNS"',
    COUNT,
    "echo half",
    WAIT_FOR_GATE,
    COUNT,
    'printf done > "$VH_OUTPUTS_DIR/done.txt"',
)
WHOLE = [*(str(n) for n in range(1, 2001)), "half", *(str(n) for n in range(1, 2001))]


def project_of(place: Installation, *more: str) -> tuple[Project, Path]:
    runs = place.folder / f"runs-{uuid.uuid4().hex[:6]}"
    return make_project(place, step("train", *HALVES, *more)), runs


def check_it_ran_once(execution: Execution, runs: Path) -> None:
    ended = execution.wait("complete")
    assert ended["attempt_count"] == 1, execution.story()
    assert runs.read_text() == "run\n"
    check_it_is_whole(execution)


def check_it_is_whole(execution: Execution) -> None:
    assert execution.lines() == WHOLE
    numbers = [one["number"] for one in execution.events()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert execution.outputs() == {"done.txt": b"done"}


def test_an_agent_killed_and_started_again_finds_its_running_process(shared: Installation) -> None:
    project, runs = project_of(shared)
    execution = project.run(environment_variables={"RUNS": str(runs)})
    execution.wait_for_line("half")
    agent = shared.child("agent")
    kill(agent)
    execution.open_gate()  # it goes on, and ends, while nobody watches
    shared.wait_for_child("agent", other_than=agent)
    check_it_ran_once(execution, runs)
    assert "The agent process ended (status -9); starting it again." in shared.serve.words


def test_an_agent_killed_again_and_again_loses_no_line(shared: Installation) -> None:
    lines = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done"
    slowly = f"for part in 1 2 3; do {lines}; sleep 0.7; done"
    execution = make_project(shared, step("train", slowly)).run()
    for _ in range(3):
        wait_until(lambda: bool(execution.folders()), what="the attempt", limit_s=60)
        agent = shared.child("agent")
        kill(agent)
        shared.wait_for_child("agent", other_than=agent)
        if execution.status == "complete":
            break
    execution.wait("complete")
    assert execution.lines() == [f"line {n}" for n in range(1, 3001)] * 3
    assert execution.get()["attempt_count"] == 1


def test_an_agent_killed_and_started_again_finds_its_container(
    shared_docker: Installation, docker_engine: DockerEngine, busybox_image: str
) -> None:
    commands = ("hostname", COUNT, "echo half", WAIT_FOR_GATE, COUNT)
    project = make_project(shared_docker, step("train", *commands, image=busybox_image))
    execution = project.run()
    execution.wait_for_line("half")
    before = containers(docker_engine, shared_docker)
    agent = shared_docker.child("agent")
    kill(agent)
    assert containers(docker_engine, shared_docker) == before
    assert len(before) == 1
    execution.open_gate()
    shared_docker.wait_for_child("agent", other_than=agent)
    ended = execution.wait("complete")
    assert ended["attempt_count"] == 1
    assert execution.lines()[1:] == WHOLE
    no_container_is_left(docker_engine, shared_docker)


# -- agents of other machines, which nobody starts again ----------------------------------------
def remote(place: Installation, **changes: int) -> str:
    """An environment whose lease ends within seconds."""
    slug = f"remote-{uuid.uuid4().hex[:6]}"
    place.add_environment(slug, lease_s=4, heartbeat_s=1, **changes)
    return slug


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_lost_agent_is_fenced_and_another_runs_the_execution_again(
    shared: Installation, how: signal.Signals
) -> None:
    slug = remote(shared)
    first = shared.agent(slug, f"first-{how.name}")
    runs = shared.folder / f"runs-{slug}"
    once = 'if [ -e "$RUNS" ]; then echo run >> "$RUNS"; else echo run > "$RUNS"; sleep 600; fi'
    project = make_project(shared, step("train", "echo begin", once, "echo end"))
    given = {"RUNS": str(runs)}
    execution = project.run(environment=slug, environment_variables=given)
    wait_until(runs.exists, what="the first run", limit_s=60)
    first.send(how)
    second = shared.agent(slug, f"second-{how.name}")
    ended = execution.wait("complete")
    assert ended["attempt_count"] == 2
    assert ended["executor_identity"] == f"second-{how.name}"
    assert runs.read_text() == "run\nrun\n"
    assert (
        f"The worker first-{how.name} stopped answering and its lease ended"
        in execution.status_lines()
    )
    assert execution.lines()[-2:] == ["begin", "end"]
    numbers = [one["number"] for one in execution.events()]
    assert numbers == list(range(1, len(numbers) + 1))
    if how is signal.SIGSTOP:
        first.send(signal.SIGCONT)
    else:
        first.wait()
        first.start()
    wait_until(
        lambda: not execution.folders(shared.folder / f"first-{how.name}"),
        what="cleaning",
        limit_s=60,
    )
    assert execution.get()["attempt_count"] == 2
    assert execution.status == "complete"
    assert second.is_running


def test_a_lost_agent_without_another_attempt_ends_the_execution_with_the_reason(
    shared: Installation,
) -> None:
    slug = remote(shared, platform_retries=0)
    lost = shared.agent(slug, "lost")
    project = make_project(shared, step("train", "echo begin", WAIT_FOR_GATE))
    execution = project.run(environment=slug)
    execution.wait_for_line("begin")
    lost.kill()
    ended = execution.wait("crashed")
    assert ended["reason"] == "worker_lost"
    expected = "The worker lost stopped answering and its lease ended; this was attempt 1 of 1."
    assert ended["reason_text"] == expected
    assert execution.lines("status")[-1] == expected
    lost.start()  # it clears what it finds
    wait_until(lambda: not execution.folders(shared.folder / "lost"), what="cleaning", limit_s=60)


def test_two_agents_run_each_execution_exactly_once(shared: Installation) -> None:
    slug = remote(shared)
    runs = shared.folder / f"runs-{slug}"
    names = ("one", "another", "third")
    agents = [shared.agent(slug, name) for name in names]
    for agent in agents:
        agent.wait_for_words(f"works for {slug}")
    project = make_project(shared, step("train", 'echo "$VH_JOB_ID $VH_EXECUTION_ID" >> "$RUNS"'))
    given = {"RUNS": str(runs)}
    made = [project.run(environment=slug, environment_variables=given) for _ in range(9)]
    for one in made:
        assert one.wait("complete")["attempt_count"] == 1
    assert len(runs.read_text().splitlines()) == len(made)
    for agent in agents:
        agent.send(signal.SIGTERM)
    assert [agent.wait(15) for agent in agents] == [0, 0, 0]
