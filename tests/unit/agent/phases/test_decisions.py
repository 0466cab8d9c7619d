from __future__ import annotations

import pytest

from agent import wire
from agent.phases.endings import CUTS, Ending, Exit, ending_of_exit, with_lost_outputs
from agent.phases.failures import PhaseFailed
from agent.phases.layout import safe_relative
from agent.phases.stamps import later_than, micros_of, stamp_of
from agent.phases.steps import ENDING, PREPARING, RUNNING, next_step


@pytest.mark.parametrize(
    ("done", "is_ending", "is_fenced", "expected"),
    [
        pytest.param([], False, False, "code", id="code-is-first"),
        pytest.param(["code", "inputs"], False, False, "config", id="in-order"),
        pytest.param(["code"], True, False, "log", id="a-failed-preparation-goes-to-the-log"),
        pytest.param([*PREPARING, "watch"], True, False, "outputs", id="failed-steps-have-outputs"),
        pytest.param([*PREPARING, *RUNNING, "log"], True, False, "finish", id="then-finish"),
        pytest.param([*PREPARING, *RUNNING, *ENDING], True, False, None, id="then-nothing"),
        pytest.param(["code"], False, True, "clean", id="fenced-attempts-are-only-cleaned"),
        pytest.param(["code", "clean"], False, True, None, id="once"),
    ],
)
def test_next_step(done: list[str], is_ending: bool, is_fenced: bool, expected: str | None) -> None:
    assert next_step(done, is_ending=is_ending, is_fenced=is_fenced) == expected


@pytest.mark.parametrize(
    ("seen", "cut", "outcome", "reason", "sentence"),
    [
        pytest.param(Exit(0), None, "complete", "exited", "exit status 0", id="zero"),
        pytest.param(
            Exit(3, failing_item=2), None, "error", "exit_nonzero", "Command 2 of 3", id="failed"
        ),
        pytest.param(Exit(139), None, "error", "exit_nonzero", "(signal 11)", id="signal"),
        pytest.param(Exit(137, is_oom=True), None, "error", "oom", "memory", id="out-of-memory"),
        pytest.param(Exit(1, is_disk_full=True), None, "error", "disk_full", "disk", id="disk"),
        pytest.param(Exit(None), None, "crashed", "agent_restarted", "lost", id="lost"),
        pytest.param(Exit(143), "stop", "stopped", "stopped_by_user", "request", id="stopped"),
        pytest.param(Exit(0), "time_limit", "error", "time_limit", "limit", id="time-limit"),
    ],
)
def test_how_an_exit_is_read(
    seen: Exit, cut: str | None, outcome: str, reason: str, sentence: str
) -> None:
    ending = ending_of_exit(seen, command_count=3, cut=cut)
    assert (ending.outcome, ending.reason) == (outcome, reason)
    assert sentence in ending.sentence


def test_lost_outputs_spoil_only_success() -> None:
    good = Ending("complete", "exited", "")
    assert with_lost_outputs(good, "x") == Ending("error", "output_upload_failed", "x")
    assert with_lost_outputs(CUTS["stop"], "x") == CUTS["stop"]


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", ".", "a\0b"])
def test_names_that_leave_are_refused(name: str) -> None:
    with pytest.raises(PhaseFailed):
        safe_relative(name, "An input")


def test_stamps_are_read_back_and_order_is_kept() -> None:
    micros = 1_893_553_445_678_901
    assert stamp_of(micros) == b"2030-01-02T03:04:05.678901"
    assert micros_of(stamp_of(micros)) == micros
    last = b"2030-01-02T03:04:05.999999"
    assert later_than(b"2030-01-02T03:04:05.000000", last) == b"2030-01-02T03:04:06.000000"
    assert later_than(b"2030-01-02T03:04:07.000000", last) == b"2030-01-02T03:04:07.000000"


def test_messages_survive_the_wire() -> None:
    spec = wire.Claim(wait_s=3)
    assert wire.decode(wire.Claim, wire.encode(spec)) == spec
    with pytest.raises(ValueError, match="wait_s"):
        wire.decode(wire.Claim, {"wait_s": "soon"})
