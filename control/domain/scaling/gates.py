"""What keeps a group from launching now, and until when.

Source: infrastructure.md 3.3 steps 1 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from control.domain.cloud_ports import FailureClass
from control.domain.scaling.state import GroupMemory, GroupNow, GroupPolicy

STALE_AFTER = timedelta(seconds=60)
"""What was read longer ago than this is no ground for a drain, nor a list for a launch."""

GIVE_UP_AFTER = timedelta(minutes=5)
"""A list unread for so long: the next group is tried, because this cloud may be gone for hours."""

REFUSALS = frozenset(kind.value for kind in (FailureClass.CAPACITY, FailureClass.QUOTA))
"""After one of these the machines that were asked for do not come by waiting."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A closed gate. `kind` is a GroupPlan.blocked_by.

    `passes_on`: what waits may go to the next group; otherwise it keeps its place here, because
    the gate will open in a moment.
    """

    kind: str
    until: datetime | None = None
    detail: str = ""
    passes_on: bool = True


def is_fresh(read_at: datetime | None, now: datetime) -> bool:
    """Tell whether something read at `read_at` may still be acted on; None: never read.

    A time ahead of `now`, which a jump of the clock leaves behind, is as fresh as now.
    """
    return read_at is not None and now - read_at <= STALE_AFTER


def is_broken(policy: GroupPolicy, memory: GroupMemory) -> bool:
    """Tell whether the breaker is open: it closes when the group's configuration changes."""
    return bool(memory.breaker_reason) and memory.breaker_version == policy.config_version


def gate(group: GroupNow, now: datetime) -> Gate | None:
    """Find what keeps the group from launching, the longest-lasting first; None: nothing does."""
    memory = group.memory
    if is_broken(group.policy, memory):
        return Gate("breaker", detail=memory.breaker_reason)
    if group.is_paused:
        return Gate("paused")
    if memory.backoff_until is not None and now < memory.backoff_until:
        return Gate("backoff", memory.backoff_until, memory.backoff_message)
    if group.has_shrunk or not is_fresh(group.cloud_read_at, now):
        read_at = group.cloud_read_at
        return Gate("stale", passes_on=read_at is None or now - read_at > GIVE_UP_AFTER)
    return None


def is_refused(group: GroupNow, found: Gate | None, now: datetime) -> bool:
    """Tell whether what is in flight will not come, so that it is asked for no longer.

    The cloud refused it, or it has not shown up within the boot grace. Counting it for ever would
    keep what waits from the next group. Source: kubernetes/autoscaler#8323, karpenter#2275.
    """
    if found is not None and (
        found.kind == "breaker"
        or (found.kind == "backoff" and group.memory.backoff_class in REFUSALS)
    ):
        return True
    launched_at = group.memory.last_launch_at
    grace = timedelta(seconds=group.policy.boot_grace_s)
    return launched_at is not None and now - launched_at > grace


def is_avoided(memory: GroupMemory, now: datetime) -> bool:
    """Tell whether other groups are tried first, because the cloud took many machines back."""
    return memory.avoid_until is not None and now < memory.avoid_until


def is_probing(group: GroupNow, now: datetime) -> bool:
    """Tell whether one machine asks first: the cloud refused not long ago, and gave none since."""
    refused_at, joined_at = group.memory.refused_at, group.memory.last_joined_at
    pause = timedelta(seconds=group.memory.backoff_s)
    if refused_at is None or now - refused_at > 2 * pause:
        return False
    if joined_at is not None and joined_at > refused_at:
        return False
    return not any(machine.launched_at > refused_at for machine in group.machines)
