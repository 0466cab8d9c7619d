"""Whether an execution gets another attempt. Source: platform-behaviour.md 10.4."""

from __future__ import annotations

from dataclasses import dataclass

from control.domain.states import REASONS


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How many more attempts after failures of the platform; the user's own errors get none."""

    platform_retries: int = 2


@dataclass(frozen=True, slots=True)
class Retry:
    """The decision; `reason` ends a sentence for people."""

    again: bool
    reason: str


def decide_retry(policy: RetryPolicy, *, reason: str, attempt_number: int) -> Retry:
    """Decide on attempt `attempt_number` (from 1) that ended for `reason`."""
    known = REASONS.get(reason, REASONS["internal"])
    if not known.is_retryable:
        return Retry(False, "another attempt would not help.")
    total = policy.platform_retries + 1
    if attempt_number >= total:
        return Retry(False, f"this was attempt {attempt_number} of {total}.")
    return Retry(True, f"it is queued again as attempt {attempt_number + 1} of {total}.")
