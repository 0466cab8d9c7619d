"""When the newest wanted size of a group is carried out by an engine run, and when it waits.

Nothing here picks victims: a run only ever grows a group (infrastructure.md 1.5 rule 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from control.domain.cloud_ports import FailureClass, StackResult

DEBOUNCE_S = 1.0
"""Submissions of one burst become one run: the newest wanted size is read when it starts."""
CONFLICT_LEAST_S, CONFLICT_MOST_S = 5.0, 30.0
CREDENTIALS_S = 300.0
STOPPED_S = 300.0
MISSING_S = 600.0
UNKNOWN_S, UNKNOWN_MOST_S = 30.0, 1800.0
RUN_MEMORY_BYTES = 800_000_000
OURS_BYTES = 2_000_000_000
"""What a run takes, and what the service itself needs (infrastructure.md 1.6)."""


@dataclass(frozen=True, slots=True)
class GroupSize:
    """What of a group's row decides whether the engine must run."""

    wanted: int
    applied: int
    config_version: str
    applied_version: str
    was_applied: bool  # its stack was updated by us before, or registered
    is_enabled: bool = True
    paused_by: str | None = None
    breaker_reason: str = ""  # open for this config version
    backoff_until: datetime | None = None
    backoff_message: str = ""
    retry_at: datetime | None = None
    hold: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`must_run`, or the sentence that says why a due run waits; "" when nothing is due."""

    must_run: bool
    waits_because: str = ""


def judge(group: GroupSize, now: datetime) -> Verdict:
    """Say whether the engine must run for this group now.

    A config that changed is applied at once to a stack that is there; a new stack is made when its
    first machine is wanted.
    """
    grows = group.wanted > group.applied
    has_new_config = group.was_applied and group.config_version != group.applied_version
    if not (grows or has_new_config):
        return Verdict(False)
    if group.paused_by is not None:
        return Verdict(False, f"{group.paused_by} has paused the stack.")
    if not group.is_enabled:
        return Verdict(False, "The group is switched off.")
    if group.breaker_reason:
        return Verdict(False, f"The configuration does not work: {group.breaker_reason}")
    if group.retry_at is not None and now < group.retry_at:
        return Verdict(False, group.hold or "The last run failed; it is tried again.")
    if not has_new_config and group.backoff_until is not None and now < group.backoff_until:
        return Verdict(False, f"The cloud refused: {group.backoff_message}")
    return Verdict(True)


def size_for(wanted: int, live: int) -> int:
    """Choose the size of a run: never below what is there, for the cloud would pick who goes."""
    return max(wanted, live)


def retry_after(result: StackResult, failures: int, dice: float) -> timedelta | None:
    """Say how long after a run that did not succeed the next one may start.

    None: at once if anything else lets it (a back-off or a breaker holds, or it succeeded).
    `failures`: of no known class, in a row, with this one. `dice`: from 0 to 1.
    """
    jitter_s = CONFLICT_LEAST_S + dice * (CONFLICT_MOST_S - CONFLICT_LEAST_S)
    if result.outcome == "succeeded":
        return None
    if result.outcome == "conflict" or result.failure is FailureClass.THROTTLE:
        return timedelta(seconds=jitter_s)
    if result.outcome == "interrupted":
        return timedelta(seconds=STOPPED_S)
    if result.outcome == "missing":
        return timedelta(seconds=MISSING_S)
    if result.failure is FailureClass.CREDENTIALS:
        return timedelta(seconds=CREDENTIALS_S)
    if result.failure in (FailureClass.CAPACITY, FailureClass.QUOTA, FailureClass.CONFIGURATION):
        return None
    pause_s = min(UNKNOWN_MOST_S, UNKNOWN_S * 2 ** max(0, failures - 1))
    return timedelta(seconds=pause_s)


def runs_at_once(cores: int, memory_bytes: int) -> int:
    """Say how many engines may run at once on a machine; at least one."""
    by_memory = (memory_bytes - OURS_BYTES) // RUN_MEMORY_BYTES
    return max(1, min(cores, by_memory))
