"""A control service that is slow, broken, forgetful, or gone: no line is lost or doubled."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from agent import wire
from tests.agent.conftest import AgentProcess, AgentStarter
from tests.agent.fake_control import FakeControl
from tests.agent.specs import make_spec

COUNT = "i=0; while [ $i -lt {n} ]; do i=$((i+1)); echo line $i; done"


def expected(count: int) -> list[str]:
    return [f"line {number}" for number in range(1, count + 1)]


def test_errors_and_cut_connections_cost_no_line(control: FakeControl, agent: AgentProcess) -> None:
    control.broken_paths["/log/"] = [500, "cut", 0.2, "cut", 429, 0.1]
    control.broken_paths["/phases/"] = ["cut", 500]
    control.broken_paths["/finish/"] = ["cut", 500]
    attempt = control.submit(make_spec(control, COUNT.format(n=20_000)))
    assert control.finished(attempt, 60)["outcome"] == "complete"
    assert attempt.of("o") == expected(20_000)
    assert not control.broken_paths["/log/"]


def test_a_forgotten_tail_is_sent_again(control: FakeControl, agent: AgentProcess) -> None:
    attempt = control.submit(
        make_spec(control, COUNT.format(n=5000) + "; sleep 0.3; echo more; sleep 0.3; echo end")
    )
    control.wait_for(lambda: "more" in attempt.of("o"), "more")
    with control.lock:
        del attempt.lines[1000:]
    assert control.finished(attempt)["outcome"] == "complete"
    assert attempt.of("o") == [*expected(5000), "more", "end"]


def test_a_tail_forgotten_before_the_finish_is_sent_again(
    control: FakeControl, agent: AgentProcess
) -> None:
    control.broken_paths["/finish/"] = [503] * 3
    attempt = control.submit(make_spec(control, COUNT.format(n=5000)))
    control.wait_for(lambda: len(control.broken_paths["/finish/"]) < 3, "a first finish")
    with control.lock:
        del attempt.lines[1000:]
    assert control.finished(attempt)["outcome"] == "complete"
    assert attempt.of("o") == expected(5000)


def test_an_agent_that_cannot_reach_the_control_service_kills_its_step_in_time(
    control: FakeControl, agent: AgentProcess, tmp_path: Path
) -> None:
    attempt = control.submit(
        make_spec(
            control,
            f"echo ready; while :; do date +%s.%N > {tmp_path}/alive; sleep 0.02; done",
            lease_s=2.0,
        )
    )
    control.wait_for(lambda: "ready" in attempt.of("o"), "ready")
    control.is_down = True
    lost_at = time.time()
    alive = tmp_path / "alive"
    limit = time.monotonic() + 20
    while time.time() - alive.stat().st_mtime < 0.5:
        assert time.monotonic() < limit, "the step lives on"
        time.sleep(0.05)
    assert alive.stat().st_mtime - lost_at < 2.0
    control.is_down = False
    finish = control.finished(attempt)
    assert (finish["outcome"], finish["reason"]) == ("crashed", "worker_lost")


def test_the_log_goes_on_at_the_number_that_the_execution_has(
    control: FakeControl, agent: AgentProcess
) -> None:
    attempt = control.submit(make_spec(control, "echo again", attempt_number=2, log_next=501))
    finish = control.finished(attempt)
    assert finish["log_last"] == 500 + len(attempt.lines)


def test_the_first_signal_drains(control: FakeControl, agent: AgentProcess) -> None:
    attempt = control.submit(make_spec(control, "echo ready; sleep 0.5; echo done"))
    control.wait_for(lambda: "ready" in attempt.of("o"), "ready")
    agent.ask_to_end()
    assert control.finished(attempt)["outcome"] == "complete"
    assert agent.process.wait(10) == 0
    assert control.left == 1


def test_the_second_signal_stops_the_step(control: FakeControl, agent: AgentProcess) -> None:
    attempt = control.submit(make_spec(control, "echo ready; sleep 600", stop_grace_s=600.0))
    control.wait_for(lambda: "ready" in attempt.of("o"), "ready")
    agent.ask_to_end()
    time.sleep(0.1)
    agent.ask_to_end()
    finish = control.finished(attempt)
    assert (finish["outcome"], finish["reason"]) == ("crashed", "agent_stopped")
    assert agent.process.wait(10) == 0


def test_an_idle_agent_ends_at_once(control: FakeControl, agent: AgentProcess) -> None:
    control.wait_for(lambda: bool(control.joined), "the join")
    time.sleep(0.3)
    agent.ask_to_end()
    assert agent.process.wait(5) == 0


def test_an_identity_is_kept_and_private(control: FakeControl, agent: AgentProcess) -> None:
    control.finished(control.submit(make_spec(control, "true")))
    agent.kill()
    agent.start_again()
    control.finished(control.submit(make_spec(control, "true")))
    assert len(control.joined) == 1
    kept = agent.state / "identity.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "agent-token" not in agent.log.read_text()


def test_a_wrong_token_is_one_plain_sentence(
    control: FakeControl, start_agent: AgentStarter
) -> None:
    agent = start_agent(TALKOOT_ENROL_TOKEN="wrong")
    assert agent.process.wait(10) == 1
    last = agent.log.read_text().splitlines()[-1]
    assert last == (
        "The control service refuses to let us join: This enrolment token is not known."
    )


def test_an_unknown_variable_is_an_error(control: FakeControl, start_agent: AgentStarter) -> None:
    agent = start_agent(TALKOOT_AGENT_COLOUR="red")
    assert agent.process.wait(10) == 2
    assert "TALKOOT_AGENT_COLOUR is not a variable of the agent" in agent.log.read_text()


def test_wrong_use_ends_with_2(control: FakeControl, start_agent: AgentStarter) -> None:
    agent = start_agent("magic")
    assert agent.process.wait(10) == 2


def test_tokens_are_in_no_process_list(control: FakeControl, agent: AgentProcess) -> None:
    attempt = control.submit(make_spec(control, "echo ready; sleep 600"))
    control.wait_for(lambda: "ready" in attempt.of("o"), "ready")
    listed = subprocess.run(["ps", "auxwww"], capture_output=True, text=True, check=True).stdout
    for token in ("agent-token", "enrol-me", attempt.spec.claim_token):
        assert token not in listed
    attempt.order = ("stop_now", "")
    control.finished(attempt)


def test_more_metadata_than_allowed_is_dropped_with_one_warning(
    control: FakeControl, agent: AgentProcess
) -> None:
    attempt = control.submit(
        make_spec(control, 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "{\\"i\\": $i}"; done')
    )
    control.finished(attempt)
    assert 500 <= len(attempt.points) < 1500
    assert len(attempt.of("o")) == 3000
    assert sum("dropped" in text for text in attempt.of("s")) == 1


def test_unknown_keys_of_a_newer_control_service_are_ignored() -> None:
    assert wire.decode(wire.Receipt, {"action": "stop", "colour": 1}) == wire.Receipt("stop")


def test_a_spec_that_makes_no_sense_does_not_end_the_agent(
    control: FakeControl, agent: AgentProcess
) -> None:
    broken = make_spec(control, "true", image=7)
    control.submit(broken)
    attempt = control.submit(make_spec(control, "echo next"))
    assert control.finished(attempt)["outcome"] == "complete"


def test_broken_remains_do_not_keep_an_agent_from_starting(
    control: FakeControl, agent: AgentProcess
) -> None:
    attempt = control.submit(make_spec(control, "echo ready; sleep 600"))
    control.wait_for(lambda: "ready" in attempt.of("o"), "ready")
    agent.kill()
    folder = agent.state / "attempts" / attempt.spec.attempt_id
    (folder / "cursor").write_text("{}")
    agent.start_again()
    following = control.submit(make_spec(control, "echo next"))
    assert control.finished(following)["outcome"] == "complete"
    assert not folder.exists()
