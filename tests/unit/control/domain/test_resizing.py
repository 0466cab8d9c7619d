"""When the engine runs for a group, and what it waits for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from control.domain.cloud_ports import FailureClass, StackResult
from control.domain.resizing import GroupSize, judge, retry_after, runs_at_once, size_for

NOW = datetime(2030, 1, 2, tzinfo=UTC)
LATER = NOW + timedelta(seconds=9)
STEADY = GroupSize(wanted=3, applied=3, config_version="a", applied_version="a", was_applied=True)
GROWING = replace(STEADY, wanted=5)


@pytest.mark.parametrize(
    ("group", "must_run"),
    [
        pytest.param(STEADY, False, id="nothing-changed"),
        pytest.param(GROWING, True, id="more-is-wanted"),
        pytest.param(replace(STEADY, wanted=1), False, id="less-is-never-the-engines-work"),
        pytest.param(replace(STEADY, config_version="b"), True, id="new-config"),
        pytest.param(
            replace(STEADY, wanted=0, applied=0, applied_version="", was_applied=False),
            False,
            id="a-new-stack-is-made-when-a-machine-is-wanted",
        ),
    ],
)
def test_the_engine_runs_when_something_changed(group: GroupSize, must_run: bool) -> None:
    assert judge(group, NOW).must_run is must_run
    assert judge(group, NOW).waits_because == ""


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"paused_by": "maija"}, "maija", id="paused"),
        pytest.param({"is_enabled": False}, "switched off", id="off"),
        pytest.param({"breaker_reason": "no image"}, "no image", id="breaker"),
        pytest.param({"retry_at": LATER, "hold": "Locked by maija."}, "maija", id="locked"),
        pytest.param({"backoff_until": LATER, "backoff_message": "ICE"}, "ICE", id="backoff"),
    ],
)
def test_a_run_that_waits_says_why(changed: dict[str, object], words: str) -> None:
    group = replace(GROWING, **changed)
    verdict = judge(group, NOW)
    assert not verdict.must_run
    assert words in verdict.waits_because


def test_what_waited_runs_when_its_time_has_come() -> None:
    group = replace(GROWING, retry_at=LATER, backoff_until=LATER, hold="Locked.")
    assert judge(group, LATER).must_run


def test_a_size_is_never_below_what_is_there() -> None:
    assert size_for(3, 5) == 5
    assert size_for(5, 3) == 5


@pytest.mark.parametrize(
    ("result", "least_s", "most_s"),
    [
        (StackResult("conflict"), 5, 30),
        (StackResult("failed", failure=FailureClass.THROTTLE), 5, 30),
        (StackResult("failed", failure=FailureClass.CREDENTIALS), 300, 300),
        (StackResult("missing"), 600, 600),
        (StackResult("interrupted"), 300, 300),
        (StackResult("failed"), 120, 120),
        (StackResult("timed-out"), 120, 120),
    ],
)
def test_a_run_that_failed_is_tried_again_later(
    result: StackResult, least_s: float, most_s: float
) -> None:
    assert retry_after(result, 3, 0.0) == timedelta(seconds=least_s)
    assert retry_after(result, 3, 1.0) == timedelta(seconds=most_s)


def test_an_unknown_failure_is_tried_half_an_hour_later_at_most() -> None:
    assert retry_after(StackResult("failed"), 50, 0.0) == timedelta(minutes=30)


@pytest.mark.parametrize("kind", ["capacity", "quota", "configuration"])
def test_what_the_groups_memory_holds_back_needs_no_other_pause(kind: str) -> None:
    assert retry_after(StackResult("failed", failure=FailureClass(kind)), 0, 0.5) is None


@pytest.mark.parametrize(
    ("cores", "gigabytes", "runs"), [(2, 24, 2), (16, 4, 2), (16, 2, 1), (1, 1, 1), (4, 64, 4)]
)
def test_as_many_engines_run_as_the_machine_carries(cores: int, gigabytes: int, runs: int) -> None:
    assert runs_at_once(cores, gigabytes * 10**9) == runs
