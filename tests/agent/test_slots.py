"""One agent with two slots: executions beside each other do not feel each other."""

from __future__ import annotations

import hashlib
import json

import pytest

from agent import wire
from tests.agent.conftest import AgentStarter, Worker
from tests.agent.fake_control import FakeAttempt, FakeControl
from tests.agent.specs import make_spec
from tests.engines.processes import wait_until

LIMIT_S = 60.0
READY_UNTIL_TOLD = "echo ready; while [ ! -e $VH_OUTPUTS_DIR/go ]; do sleep 0.05; done; echo done"


@pytest.fixture(params=["process", "docker"])
def worker(request: pytest.FixtureRequest, start_agent: AgentStarter) -> Worker:
    """An agent with two slots, once of each runtime."""
    slots = {"TALKOOT_AGENT_SLOTS": "2"}
    if request.param == "process":
        return Worker(start_agent(**slots), "process", "none")
    engine = request.getfixturevalue("docker_engine")
    image = request.getfixturevalue("busybox_image")
    return Worker(start_agent("docker", DOCKER_HOST=engine.host, **slots), "docker", image)


def two_that_run(control: FakeControl, worker: Worker) -> tuple[FakeAttempt, FakeAttempt]:
    """Submit two executions and wait until both run."""
    first, second = (
        control.submit(make_spec(control, READY_UNTIL_TOLD, image=worker.image)) for _ in range(2)
    )
    for one in (first, second):
        control.wait_for(lambda one=one: "ready" in one.of("o"), "both run at once", LIMIT_S)
    return first, second


def let_go(worker: Worker, attempt: FakeAttempt) -> None:
    """Give the step the sign to end."""
    (worker.agent.state / "attempts" / attempt.spec.attempt_id / "outputs" / "go").touch()


def test_a_stop_ends_one_of_two_and_leaves_the_other_alone(
    control: FakeControl, worker: Worker
) -> None:
    stopped, other = two_that_run(control, worker)
    stopped.order = ("stop", "Stop requested by ada.")
    assert control.finished(stopped, LIMIT_S)["reason"] == "stopped_by_user"
    assert other.finish is None
    let_go(worker, other)
    assert control.finished(other, LIMIT_S)["outcome"] == "complete"
    assert other.of("o") == ["ready", "done"]
    assert "Stop requested by ada." not in other.of("s")


def test_an_agent_killed_in_the_middle_of_two_finds_both_again(
    control: FakeControl, worker: Worker
) -> None:
    both = two_that_run(control, worker)
    worker.agent.kill()
    worker.agent.start_again()
    beats = [one.beats for one in both]
    control.wait_for(
        lambda: all(one.beats > before for one, before in zip(both, beats, strict=True)),
        "the new process beats for both",
        LIMIT_S,
    )
    for one in both:
        let_go(worker, one)
    for one in both:
        assert control.finished(one, LIMIT_S)["outcome"] == "complete", one.lines
        assert one.of("o") == ["ready", "done"]
        assert one.of("s").count("Started") == 1


def test_a_free_slot_takes_the_next_while_the_other_is_busy(
    control: FakeControl, worker: Worker
) -> None:
    long = control.submit(make_spec(control, READY_UNTIL_TOLD, image=worker.image))
    control.wait_for(lambda: "ready" in long.of("o"), "the first runs", LIMIT_S)
    for _ in range(3):
        quick = control.submit(make_spec(control, "echo quick", image=worker.image))
        assert control.finished(quick, LIMIT_S)["outcome"] == "complete"
    assert long.finish is None
    let_go(worker, long)
    control.finished(long, LIMIT_S)


def test_two_executions_of_one_commit_and_one_input_fetch_each_once(
    control: FakeControl, start_agent: AgentStarter
) -> None:
    start_agent(TALKOOT_AGENT_SLOTS="2")
    content = b"x" * 300_000
    file = wire.InputFile(
        "a",
        uri="datum://a",
        url=control.add_file("a", content),
        size_bytes=len(content),
        checksums={"sha256": hashlib.sha256(content).hexdigest()},
    )
    inputs = (wire.InputSpec("data", (file,)),)
    # Each answer is slow, so that the second comes while the first is under way.
    control.broken_paths["/files/code-"] = [0.5, 0.5]
    control.broken_paths["/files/a"] = [0.5, 0.5]
    code = {"big.txt": json.dumps(list(range(50_000)))}
    both = [
        control.submit(make_spec(control, "cksum big.txt", code=code, inputs=inputs))
        for _ in range(2)
    ]
    for one in both:
        assert control.finished(one, LIMIT_S)["outcome"] == "complete", one.lines
    assert both[0].of("o") == both[1].of("o")
    assert sum(path.startswith("/files/code-") for path in control.gets) == 1
    assert control.gets.count("/files/a") == 1


def test_nothing_of_two_stays_on_the_machine(control: FakeControl, worker: Worker) -> None:
    for one in two_that_run(control, worker):
        let_go(worker, one)
        control.finished(one, LIMIT_S)
    attempts = worker.agent.state / "attempts"
    wait_until(lambda: not list(attempts.iterdir()), what="empty attempts folder", limit_s=LIMIT_S)
