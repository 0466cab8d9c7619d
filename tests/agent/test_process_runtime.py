"""The agent from claim to clean, steps as plain processes."""

from __future__ import annotations

from tests.agent.conftest import AgentProcess
from tests.agent.fake_control import FakeControl
from tests.agent.specs import make_spec


def test_an_execution_runs_and_its_output_arrives_in_order(
    control: FakeControl, agent: AgentProcess
) -> None:
    attempt = control.submit(
        make_spec(control, "cat hello.txt", "X=5", 'echo "x is $X"; echo oops >&2')
    )
    finish = control.finished(attempt)
    assert finish["outcome"] == "complete", attempt.lines
    assert attempt.of("o") == ["hello", "x is 5"]
    assert attempt.of("e") == ["oops"]
    assert "Started" in attempt.of("s")
    assert any("WITHOUT ISOLATION" in line for line in attempt.of("s"))
    times = [line[:26] for line in attempt.lines]
    assert times == sorted(set(times))


def test_the_first_failing_command_ends_it_with_its_number(
    control: FakeControl, agent: AgentProcess
) -> None:
    attempt = control.submit(
        make_spec(control, "true", "exit_with() { return 3; }; exit_with", "echo never")
    )
    finish = control.finished(attempt)
    assert (finish["outcome"], finish["reason"]) == ("error", "exit_nonzero")
    assert (finish["exit_code"], finish["failing_item"]) == (3, 2)
    assert "Command 2 of 3 failed with exit status 3" in attempt.of("s")
    assert "never" not in attempt.of("o")
