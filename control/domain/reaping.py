"""What to do about an attempt whose agent is silent. Source: architecture.md part 4, liveness."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from control.domain.retry import RetryPolicy, decide_retry
from control.domain.states import Status

SUSPECT_AFTER = timedelta(seconds=60)
"""A heartbeat older than this: the worker is shown as suspect."""

GONE_AFTER = timedelta(hours=24)
"""A worker silent for so long is no longer listed among the live ones."""


@dataclass(frozen=True, slots=True)
class HeldAttempt:
    """An attempt that holds an execution."""

    number: int  # counted from 1
    lease_until: datetime
    worker: str
    is_stopping: bool
    reclaimed: int = 0  # attempts before it that ended because the cloud took the machine back


@dataclass(frozen=True, slots=True)
class Verdict:
    """The execution's next status, or None to leave it; `reason` and `sentence` say why."""

    status: Status | None
    reason: str = ""
    sentence: str = ""


def judge(attempt: HeldAttempt, *, policy: RetryPolicy, now: datetime) -> Verdict:
    """Fence an attempt whose lease has ended; run it again while the policy allows."""
    if attempt.lease_until > now:
        return Verdict(None)
    silent = f"The worker {attempt.worker} stopped answering and its lease ended"
    if attempt.is_stopping:
        return Verdict(Status.STOPPED, "stopped_by_user", f"{silent} while it was being stopped.")
    retry = decide_retry(
        policy,
        reason="worker_lost",
        attempt_number=attempt.number,
        reclaimed=attempt.reclaimed,
    )
    if retry.again:
        return Verdict(Status.QUEUED, "worker_lost", f"{silent}; {retry.reason}")
    return Verdict(Status.CRASHED, "worker_lost", f"{silent}; {retry.reason}")


def is_suspect(last_seen_at: datetime, now: datetime) -> bool:
    """Say whether a worker has been silent for too long to count on."""
    return now - last_seen_at > SUSPECT_AFTER
