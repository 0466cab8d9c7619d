"""What to do about a silent agent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from control.domain.reaping import HeldAttempt, is_suspect, judge
from control.domain.retry import RetryPolicy
from control.domain.states import Status

NOW = datetime(2030, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "ended_s", "is_stopping", "status"),
    [
        pytest.param(1, -1, False, None, id="a-lease-that-runs-is-left-alone"),
        pytest.param(1, 0, False, Status.QUEUED, id="the-first-loss-is-run-again"),
        pytest.param(3, 0, False, Status.CRASHED, id="the-third-loss-is-the-last"),
        pytest.param(1, 0, True, Status.STOPPED, id="what-was-being-stopped-is-stopped"),
    ],
)
def test_judge(number: int, ended_s: int, is_stopping: bool, status: Status | None) -> None:
    attempt = HeldAttempt(number, NOW - timedelta(seconds=ended_s), "worker-1", is_stopping)
    verdict = judge(attempt, policy=RetryPolicy(2), now=NOW)
    assert verdict.status is status
    assert (status is None) or "worker-1" in verdict.sentence


def test_a_worker_is_suspect_after_a_minute_of_silence() -> None:
    assert not is_suspect(NOW - timedelta(seconds=60), NOW)
    assert is_suspect(NOW - timedelta(seconds=61), NOW)
