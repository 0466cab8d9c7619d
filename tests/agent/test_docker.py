"""What only a real container engine can show."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

from agent.phases.output import Source
from agent.runtimes.base import Job
from agent.runtimes.docker_logs import ApiLog, FileLog
from tests.agent.conftest import AgentProcess, AgentStarter
from tests.agent.fake_control import FakeControl
from tests.agent.runtime_alone import job_in, runtime_of
from tests.agent.specs import make_spec
from tests.engines.container_engine import DockerEngine
from tests.engines.processes import wait_until


@pytest.fixture
def engine(docker_engine: DockerEngine) -> Iterator[docker.APIClient]:
    client = docker.APIClient(base_url=docker_engine.host, version="auto", timeout=60)
    yield client
    client.close()


@pytest.fixture
def agent(start_agent: AgentStarter, docker_engine: DockerEngine) -> AgentProcess:
    return start_agent("docker", DOCKER_HOST=docker_engine.host)


def container_names(engine: docker.APIClient) -> list[str]:
    return [name for one in engine.containers(all=True) for name in one["Names"]]


def test_an_agent_clears_up_what_it_left(
    control: FakeControl, agent: AgentProcess, engine: docker.APIClient, busybox_image: str
) -> None:
    attempt = control.submit(make_spec(control, "echo ready; sleep 600", image=busybox_image))
    control.wait_for(lambda: "ready" in attempt.of("o"), "ready", 60)
    name = f"/talkoot-{attempt.spec.attempt_id}"
    assert name in container_names(engine)
    agent.kill()
    shutil.rmtree(agent.state / "attempts")
    agent.start_again()
    following = control.submit(make_spec(control, "true", image=busybox_image))
    control.finished(following, 60)
    assert name not in container_names(engine)


def test_a_container_removed_by_somebody_else_is_a_crash(
    control: FakeControl, agent: AgentProcess, engine: docker.APIClient, busybox_image: str
) -> None:
    attempt = control.submit(make_spec(control, "echo ready; sleep 600", image=busybox_image))
    control.wait_for(lambda: "ready" in attempt.of("o"), "ready", 60)
    engine.remove_container(f"talkoot-{attempt.spec.attempt_id}", force=True)
    assert control.finished(attempt, 60)["outcome"] in ("crashed", "error")


def test_an_image_that_cannot_be_had_is_said_plainly(
    control: FakeControl, agent: AgentProcess
) -> None:
    attempt = control.submit(make_spec(control, "true", image="localhost:1/no/such:1"))
    finish = control.finished(attempt, 60)
    assert (finish["outcome"], finish["reason"]) == ("error", "image_pull_failed")
    assert "cannot be reached from this worker" in finish["sentence"]


def test_a_container_is_held_to_its_limits(
    control: FakeControl, agent: AgentProcess, engine: docker.APIClient, busybox_image: str
) -> None:
    attempt = control.submit(
        make_spec(
            control, "echo ready; sleep 600", image=busybox_image, env_vars={"VH_CPU_LIMIT": "0.5"}
        )
    )
    control.wait_for(lambda: "ready" in attempt.of("o"), "ready", 60)
    found = engine.inspect_container(f"talkoot-{attempt.spec.attempt_id}")
    host = found["HostConfig"]
    assert host["NanoCpus"] == 500_000_000
    assert host["PidsLimit"] > 0
    assert host["Privileged"] is False
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert not any("docker.sock" in bind for bind in host["Binds"])
    assert found["Config"]["Labels"]["talkoot.execution"] == attempt.spec.execution_id
    attempt.order = ("stop_now", "")
    control.finished(attempt, 60)


def test_a_step_that_takes_too_much_memory_is_told_apart(
    control: FakeControl, agent: AgentProcess, busybox_image: str
) -> None:
    attempt = control.submit(
        make_spec(
            control,
            "true",
            "tail /dev/zero",
            image=busybox_image,
            runtime_config={"memory_bytes": 64 * 1024 * 1024},
        )
    )
    finish = control.finished(attempt, 60)
    assert (finish["outcome"], finish["reason"]) == ("error", "oom"), attempt.lines
    assert finish["failing_item"] == 2


def test_containers_cannot_reach_the_metadata_service(
    control: FakeControl, agent: AgentProcess, busybox_image: str
) -> None:
    control.finished(control.submit(make_spec(control, "true", image=busybox_image)), 60)
    rules = subprocess.run(
        ["iptables", "-S", "DOCKER-USER"], capture_output=True, text=True, check=True
    ).stdout
    assert "-d 169.254.169.254/32 -j REJECT" in rules


def test_an_image_with_its_own_user_can_write_where_it_must(
    control: FakeControl, agent: AgentProcess, engine: docker.APIClient, busybox_image: str
) -> None:
    made = engine.create_container_from_config({"Image": busybox_image, "Cmd": ["true"]})
    engine.commit(made["Id"], "talkoot-test/own-user", "1", changes=["USER 1000:1000"])
    engine.remove_container(made["Id"])
    attempt = control.submit(
        make_spec(
            control,
            "id -u; echo x >> hello.txt; mkdir -p $VH_OUTPUTS_DIR/a; echo y > $VH_OUTPUTS_DIR/a/b",
            "false",
            image="talkoot-test/own-user:1",
        )
    )
    finish = control.finished(attempt, 60)
    assert attempt.of("o") == ["1000"], attempt.lines
    assert finish["failing_item"] == 2
    assert [one["name"] for one in attempt.offered.values()] == ["a/b"]
    engine.remove_image("talkoot-test/own-user:1", force=True)


@pytest.fixture
def job(control: FakeControl, busybox_image: str, tmp_path: Path) -> Job:
    return job_in(tmp_path, make_spec(control, "true", image=busybox_image))


def test_a_container_made_ahead_is_the_one_that_starts_also_after_a_restart(
    docker_engine: DockerEngine, engine: docker.APIClient, job: Job
) -> None:
    name = f"/talkoot-{job.spec.attempt_id}"
    first = runtime_of(docker_engine, job)
    first.get_ready(job)
    wait_until(lambda: name in container_names(engine), what="the container")
    made = engine.inspect_container(name)
    assert made["State"]["Status"] == "created"
    second = runtime_of(docker_engine, job)
    second.get_ready(job)
    assert second.start(job) == made["Id"]
    assert first.start(job) == made["Id"]
    wait_until(lambda: second.wait(made["Id"], job.folder, 0.1) is not None, what="its end")
    second.remove(made["Id"], job.folder, job.spec.attempt_id)
    assert name not in container_names(engine)
    for runtime in (first, second):
        runtime.close()


def test_a_container_made_ahead_of_a_step_that_never_starts_is_removed(
    docker_engine: DockerEngine, engine: docker.APIClient, job: Job
) -> None:
    runtime = runtime_of(docker_engine, job)
    runtime.get_ready(job)
    runtime.remove(None, job.folder, job.spec.attempt_id)
    assert f"/talkoot-{job.spec.attempt_id}" not in container_names(engine)
    runtime.close()


@pytest.fixture
def noisy(engine: docker.APIClient, busybox_image: str) -> Iterator[str]:
    """A container that has printed and ended."""
    script = (
        'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "out <$i>"; done;'
        "echo err >&2; head -c 40000 /dev/zero | tr '\\0' x; echo; printf end"
    )
    made = engine.create_container_from_config(
        {"Image": busybox_image, "Cmd": ["/bin/sh", "-c", script]}
    )["Id"]
    engine.start(made)
    engine.wait(made)
    yield made
    with suppress(NotFound):
        engine.remove_container(made, force=True)


def read_all(source: Source, position: object = None) -> list[bytes]:
    """Read to the end, opening nothing twice."""
    blocks: list[bytes] = []
    while True:
        chunk = source.read(position, 5.0)
        blocks.append(chunk.block)
        position = chunk.position
        if chunk.is_end:
            source.close()
            return b"".join(blocks).splitlines()


def test_both_ways_to_read_a_log_give_the_same_lines(engine: docker.APIClient, noisy: str) -> None:
    path = engine.inspect_container(noisy)["LogPath"]
    ended = threading.Event()
    ended.set()
    by_file = read_all(FileLog(Path(path), ended))
    by_engine = read_all(ApiLog(engine, noisy))
    assert len(by_file) == 3003
    assert [one[27:] for one in by_engine] == [one[27:] for one in by_file]


def test_the_engines_log_goes_on_at_any_entry(engine: docker.APIClient, noisy: str) -> None:
    whole = [one[27:] for one in read_all(ApiLog(engine, noisy))]
    again = read_all(ApiLog(engine, noisy), {"at": 2000, "open": {}})
    assert [one[27:] for one in again] == whole[2000:]
