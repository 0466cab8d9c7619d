"""An agent on a machine of a cloud: joins by its cloud's word, ends, changes, gives up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.instance import RECLAIM_PATH
from tests.agent.conftest import AgentProcess, AgentStarter
from tests.agent.fake_control import FakeControl
from tests.agent.fake_metadata import IDENTITY, FakeMetadata
from tests.agent.specs import make_spec

LIMIT_S = 30.0


@pytest.fixture
def metadata() -> Iterator[FakeMetadata]:
    service = FakeMetadata()
    yield service
    service.close()


@pytest.fixture
def start_machine(
    start_agent: AgentStarter, metadata: FakeMetadata, tmp_path: Path
) -> AgentStarter:
    def start(**env: str) -> AgentProcess:
        usual = {
            "TALKOOT_ENROL_TOKEN": "",
            "TALKOOT_AGENT_IDENTITY": "aws",
            "TALKOOT_AGENT_GROUP": "gpu",
            "TALKOOT_AGENT_IMDS_URL": metadata.url,
            "TALKOOT_AGENT_POWER_OFF_COMMAND": f"touch {tmp_path / 'off'}",
        }
        return start_agent(**(usual | env))

    return start


def ended(agent: AgentProcess) -> int:
    return agent.process.wait(LIMIT_S)


def wait_for_file(path: Path) -> None:
    limit = time.monotonic() + LIMIT_S
    while not path.exists():
        assert time.monotonic() < limit, f"{path} never came"
        time.sleep(0.02)


def test_it_joins_by_what_its_cloud_signs(
    control: FakeControl, start_machine: AgentStarter, metadata: FakeMetadata
) -> None:
    control.early_joins = 2
    start_machine()
    control.wait_for(lambda: control.beats, "a heartbeat")
    [joined] = control.joined
    assert joined["enrolment_token"] == ""
    assert joined["instance_identity"] == {
        "cloud": "aws",
        "group": "gpu",
        "document": metadata.texts[f"{IDENTITY}/document"],
        "signature": metadata.texts[f"{IDENTITY}/signature"],
    }


def test_it_asks_again_with_a_new_session_token_when_the_old_one_is_refused(
    control: FakeControl, start_machine: AgentStarter, metadata: FakeMetadata
) -> None:
    start_machine()
    control.wait_for(lambda: control.beats, "a heartbeat")
    metadata.tokens.clear()
    at = (datetime.now(UTC) + timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata.texts[RECLAIM_PATH] = f'{{"action": "terminate", "time": "{at}"}}'
    control.wait_for(lambda: control.left, "the agent leaves")


def test_a_machine_that_nobody_wants_any_more_powers_itself_off(
    control: FakeControl, start_machine: AgentStarter, tmp_path: Path
) -> None:
    agent = start_machine()
    control.wait_for(lambda: control.beats, "a heartbeat")
    assert not (tmp_path / "off").exists()
    control.orders = {"keep_alive_s": 0.0}
    assert ended(agent) == 0
    assert (tmp_path / "off").exists()
    assert control.left == 1
    assert "The keep-alive of 0 s has passed" in agent.log.read_text()


def test_a_machine_that_hears_nothing_powers_itself_off(
    control: FakeControl, start_machine: AgentStarter, tmp_path: Path
) -> None:
    agent = start_machine(TALKOOT_AGENT_ORPHAN_TIMEOUT="2")
    control.wait_for(lambda: control.beats, "a heartbeat")
    control.is_down = True
    assert ended(agent) == 0
    assert (tmp_path / "off").exists()
    assert "was not heard of for 2 s" in agent.log.read_text()


def test_a_machine_that_runs_something_does_not_power_itself_off(
    control: FakeControl, start_machine: AgentStarter, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    agent = start_machine()
    attempt = control.submit(
        make_spec(control, f"echo begun; while [ ! -e {go_on} ]; do sleep 0.05; done")
    )
    control.wait_for(lambda: "begun" in attempt.of("o"), "the step begins")
    control.orders = {"keep_alive_s": 0.0}
    seen = len(control.beats)
    control.wait_for(lambda: len(control.beats) > seen + 5, "some heartbeats")
    assert agent.process.poll() is None
    go_on.touch()
    assert control.finished(attempt)["outcome"] == "complete"
    assert ended(agent) == 0
    assert (tmp_path / "off").exists()


def test_a_machine_without_a_command_never_powers_off(
    control: FakeControl, start_machine: AgentStarter
) -> None:
    control.orders = {"keep_alive_s": 0.0}
    agent = start_machine(TALKOOT_AGENT_POWER_OFF_COMMAND="")
    control.wait_for(lambda: len(control.beats) > 8, "some heartbeats")
    assert agent.process.poll() is None


def test_its_sign_of_life_changes_while_nobody_answers(
    control: FakeControl, start_machine: AgentStarter
) -> None:
    agent = start_machine()
    control.wait_for(lambda: control.beats, "a heartbeat")
    control.is_down = True
    before = (agent.state / "alive").stat().st_mtime_ns
    limit = time.monotonic() + LIMIT_S
    while (agent.state / "alive").stat().st_mtime_ns == before:
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_drained_agent_claims_nothing_until_it_is_taken_back(
    control: FakeControl, start_machine: AgentStarter
) -> None:
    start_machine()
    control.wait_for(lambda: control.beats, "a heartbeat")
    control.orders = {"should_drain": True, "drain_epoch": 3}
    control.wait_for(lambda: control.beats[-1]["drain_epoch"] == 3, "the acknowledgement")
    assert control.beats[-1]["is_draining"]
    # The claim that was on its way takes one; the next one waits.
    first = control.submit(make_spec(control, "true"))
    control.finished(first)
    second = control.submit(make_spec(control, "true"))
    claims = len(control.claimed_at)
    seen = len(control.beats)
    control.wait_for(lambda: len(control.beats) > seen + 5, "some heartbeats")
    assert len(control.claimed_at) == claims
    assert control.waiting == [second.spec]
    control.orders = {"should_drain": False, "drain_epoch": 3}
    assert control.finished(second)["outcome"] == "complete"
    assert not control.beats[-1]["is_draining"]


def test_a_reclaimed_machine_interrupts_the_step_and_keeps_its_outputs(
    control: FakeControl, start_machine: AgentStarter, metadata: FakeMetadata
) -> None:
    agent = start_machine()
    code = (
        "import os, time\n"
        "print('begun', flush=True)\n"
        "try:\n"
        "    time.sleep(600)\n"
        "except KeyboardInterrupt:\n"
        "    open(os.environ['VH_OUTPUTS_DIR'] + '/model', 'w').write('half')\n"
        "    print('saved', flush=True)\n"
    )
    attempt = control.submit(make_spec(control, "python3 train.py", code={"train.py": code}))
    control.wait_for(lambda: "begun" in attempt.of("o"), "the step begins")
    at = (datetime.now(UTC) + timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata.texts[RECLAIM_PATH] = f'{{"action": "terminate", "time": "{at}"}}'
    finish = control.finished(attempt)
    assert (finish["outcome"], finish["reason"]) == ("crashed", "machine_reclaimed")
    assert "saved" in attempt.of("o")
    assert "The cloud takes this machine back." in attempt.of("s")
    assert [one["name"] for one in attempt.offered.values()] == ["model"]
    assert len(attempt.stored) == 1
    assert ended(agent) == 0
    assert control.left == 1
    assert any(beat["reclaim_at"] == at for beat in control.beats)


def test_a_step_that_does_not_listen_is_killed_before_the_machine_goes(
    control: FakeControl, start_machine: AgentStarter, metadata: FakeMetadata
) -> None:
    start_machine()
    attempt = control.submit(
        make_spec(control, "trap '' INT; echo begun; while :; do sleep 0.1; done", stop_grace_s=600)
    )
    control.wait_for(lambda: "begun" in attempt.of("o"), "the step begins")
    at = (datetime.now(UTC) + timedelta(seconds=31)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata.texts[RECLAIM_PATH] = f'{{"action": "terminate", "time": "{at}"}}'
    assert control.finished(attempt)["reason"] == "machine_reclaimed"


def test_an_idle_agent_becomes_the_release_that_is_wanted(
    control: FakeControl, start_machine: AgentStarter, tmp_path: Path
) -> None:
    script = tmp_path / "update"
    script.write_text(f"#!/bin/sh\necho $1 >>{tmp_path}/updates\n")
    script.chmod(0o755)
    agent = start_machine(TALKOOT_AGENT_UPDATE_COMMAND=str(script))
    attempt = control.submit(make_spec(control, "echo begun; sleep 1; echo ended"))
    control.wait_for(lambda: "begun" in attempt.of("o"), "the step begins")
    control.orders = {"wanted_version": "9.9.9"}
    assert control.finished(attempt)["outcome"] == "complete"
    assert not (tmp_path / "updates").exists(), "it changed while something ran"
    wait_for_file(agent.state / "updated-to")
    # Its sources did not change, so it says that it is another one, and does not try for ever.
    limit = time.monotonic() + LIMIT_S
    while "says that it is" not in agent.log.read_text():
        assert time.monotonic() < limit, agent.log.read_text()
        time.sleep(0.05)
    assert (tmp_path / "updates").read_text() == "9.9.9\n"
    assert len(control.joined) == 1, "it kept its identity"
    assert agent.process.poll() is None, "it is the same process"
    after = control.submit(make_spec(control, "true"))
    assert control.finished(after)["outcome"] == "complete"


def test_an_update_that_fails_leaves_the_agent_at_work(
    control: FakeControl, start_machine: AgentStarter
) -> None:
    control.orders = {"wanted_version": "9.9.9"}
    agent = start_machine(TALKOOT_AGENT_UPDATE_COMMAND="false")
    limit = time.monotonic() + LIMIT_S
    while "false: Command" not in agent.log.read_text():
        assert time.monotonic() < limit, agent.log.read_text()
        time.sleep(0.05)
    attempt = control.submit(make_spec(control, "true"))
    assert control.finished(attempt)["outcome"] == "complete"
