"""Outputs that are hard to store."""

from __future__ import annotations

import pytest

from agent.transfer import outputs
from tests.agent.conftest import AgentProcess
from tests.agent.fake_control import FakeControl
from tests.agent.specs import make_spec


def test_a_store_that_fails_for_a_while_is_tried_again(
    control: FakeControl, agent: AgentProcess
) -> None:
    control.broken_paths["/store/"] = [500, "cut", 403]
    attempt = control.submit(make_spec(control, "echo a > $VH_OUTPUTS_DIR/a"))
    assert control.finished(attempt)["outcome"] == "complete"
    assert list(control.stored.values()) == [b"a\n"]


def test_an_output_that_cannot_be_stored_spoils_success(
    control: FakeControl, agent: AgentProcess
) -> None:
    control.broken_paths["/store/"] = [500] * outputs.TRIES
    attempt = control.submit(make_spec(control, "echo a > $VH_OUTPUTS_DIR/a"))
    finish = control.finished(attempt)
    assert (finish["outcome"], finish["reason"]) == ("error", "output_upload_failed")
    assert "Output a could not be stored: the store answered 500" in attempt.of("s")


def test_a_refused_output_does_not_take_the_others_with_it(
    control: FakeControl, agent: AgentProcess
) -> None:
    control.refused_outputs.add("bad")
    attempt = control.submit(make_spec(control, "cd $VH_OUTPUTS_DIR; echo a > a; echo b > bad"))
    finish = control.finished(attempt)
    assert (finish["outcome"], finish["reason"]) == ("error", "output_upload_failed")
    assert [one["name"] for one in attempt.offered.values()] == ["a"]
    assert list(control.stored.values()) == [b"a\n"]


def test_many_outputs_and_empty_ones_are_stored(control: FakeControl, agent: AgentProcess) -> None:
    script = "cd $VH_OUTPUTS_DIR; for i in $(seq 250); do echo $i > $i; done; : > empty"
    attempt = control.submit(make_spec(control, script))
    assert control.finished(attempt, 60)["outcome"] == "complete"
    assert len(attempt.stored) == 251
    assert "251 outputs stored" in attempt.of("s")


@pytest.mark.parametrize("made", ["ln -s /etc/passwd link", "mkfifo pipe", "mkdir empty"])
def test_only_regular_files_are_outputs(
    control: FakeControl, agent: AgentProcess, made: str
) -> None:
    attempt = control.submit(make_spec(control, f"cd $VH_OUTPUTS_DIR; {made}"))
    assert control.finished(attempt)["outcome"] == "complete"
    assert attempt.offered == {}
