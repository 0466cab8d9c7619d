"""Whether an execution gets another attempt. Source: platform-behaviour.md 10.4."""

from __future__ import annotations

from dataclasses import dataclass

from control.domain.states import REASONS

RECLAIMED = "machine_reclaimed"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How many more attempts after failures of the platform; the user's own errors get none.

    Machines that the cloud takes back have a number of their own: whoever chose spot counts on
    them, and they must not use up what is there for real failures.
    """

    platform_retries: int = 2
    spot_retries: int = 5


@dataclass(frozen=True, slots=True)
class Retry:
    """The decision; `reason` ends a sentence for people."""

    again: bool
    reason: str


def decide_retry(
    policy: RetryPolicy, *, reason: str, attempt_number: int, reclaimed: int = 0
) -> Retry:
    """Decide on attempt `attempt_number` (from 1) that ended for `reason`.

    `reclaimed` of the attempts before it ended because the cloud took the machine back.
    """
    known = REASONS.get(reason, REASONS["internal"])
    if not known.is_retryable:
        return Retry(False, "another attempt would not help.")
    if reason == RECLAIMED:
        times, most = reclaimed + 1, policy.spot_retries
        if times > most:
            return Retry(False, f"that has happened {times} times, and {most} are accepted.")
        return Retry(True, f"it is queued again, time {times} of {most}.")
    number, total = attempt_number - reclaimed, policy.platform_retries + 1
    if number >= total:
        return Retry(False, f"this was attempt {number} of {total}.")
    return Retry(True, f"it is queued again as attempt {number + 1} of {total}.")
