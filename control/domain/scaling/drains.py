"""Which machines leave: idle ones only, few at a time, and never on old news.

Source: infrastructure.md 3.3 step 6. The guard against work that arrives in the same moment is
not here: it is the UPDATE that asks for the drain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil

from control.domain.scaling import gates
from control.domain.scaling.draft import Draft
from control.domain.scaling.state import GroupNow, Machine

SHARE = 0.2
"""At most this share of the ready machines, and at least one, is drained in one tick."""

IDLE_STEP_S = 300
"""Idle times of the same five minutes count as equal, and then the one with less cached goes."""


def may_drain(group: GroupNow, now: datetime) -> bool:
    """Tell whether all that a drain rests on was read just now, and nobody holds the stack."""
    is_known = gates.is_fresh(group.cloud_read_at, now) and gates.is_fresh(
        group.registry_read_at, now
    )
    return is_known and not group.has_shrunk and not group.is_paused


def is_settled(group: GroupNow, now: datetime) -> bool:
    """Tell whether the last launch is long enough ago for a drain."""
    launched_at = group.memory.last_launch_at
    pause = timedelta(seconds=group.policy.stabilisation_s)
    return launched_at is None or now - launched_at >= pause


def choose(draft: Draft, now: datetime) -> tuple[str, ...]:
    """Choose the machines that leave; at most a fifth of the ready ones, and never a busy one.

    Broken ones go whatever the bounds say; the rest only while minimum and spare are kept.
    """
    if not may_drain(draft.group, now):
        return ()
    most = _most(draft)
    broken = [machine for machine in draft.idle if machine.is_broken]
    taken = [machine.id for machine in sorted(broken, key=lambda machine: machine.id)][:most]
    if is_settled(draft.group, now):
        taken += _surplus(draft, now, len(taken))
    return tuple(taken)


def retire(draft: Draft, now: datetime, drained: int) -> tuple[str, ...]:
    """Choose busy machines that get no more work: broken ones, and outdated ones that wear out.

    An outdated one only while nothing keeps its replacement from coming.
    """
    if not may_drain(draft.group, now):
        return ()
    worn = (machine for machine in draft.worn if machine.is_broken or draft.gate is None)
    ids = sorted((not machine.is_broken, machine.id) for machine in worn)
    return tuple(id_ for _, id_ in ids[: max(0, _most(draft) - drained)])


def _most(draft: Draft) -> int:
    return max(1, ceil(SHARE * draft.ready))


def _surplus(draft: Draft, now: datetime, broken: int) -> list[str]:
    policy = draft.group.policy
    # By slots, those that today's queue does not need.
    whole = Counter(draft.bins["ready"].whole) + Counter(draft.bins["held"].whole)
    spare = sum(whole.values()) + draft.bins["coming"].untouched - policy.spare
    total = draft.ready + draft.coming - policy.minimum - broken
    sound = draft.serving - policy.minimum
    most = min(_most(draft) - broken, spare, total)
    free = draft.bins["ready"].free + draft.bins["held"].free + draft.free_before
    taken: list[str] = []
    for machine in _in_order(draft.idle, now):
        if len(taken) >= most:
            break
        if whole[machine.slots] <= 0 or (not machine.is_outdated and sound <= 0):
            continue
        if not machine.is_outdated and _idle_s(machine, now) < kept_idle_s(
            draft.idle_ttl_s, free - machine.slots, machine.slots
        ):
            continue
        free -= machine.slots
        whole[machine.slots] -= 1
        sound -= 0 if machine.is_outdated else 1
        taken.append(machine.id)
    return taken


def kept_idle_s(ttl_s: float, free: int, slots: int) -> float:
    """Answer how long an idle machine of `slots` is kept while `free` slots are free elsewhere.

    The last free machine is kept for the whole time, because the next execution would wait for a
    boot without it. One that others stand in for is kept the shorter the more room they have.

    Worked example: 15 minutes, 8 slots free elsewhere, machines of 4: 15 / (1 + 8 / 4) = 5 minutes.
    """
    return ttl_s / (1 + free / slots)


def _idle_s(machine: Machine, now: datetime) -> float:
    return (now - machine.idle_since).total_seconds() if machine.idle_since else -1.0


def _in_order(idle: Sequence[Machine], now: datetime) -> list[Machine]:
    """Order those that may leave: outdated, then longest idle, then least cached."""

    def order(machine: Machine) -> tuple[bool, int, int, str]:
        steps = int(_idle_s(machine, now) // IDLE_STEP_S)
        return (not machine.is_outdated, -steps, machine.cached_bytes, machine.id)

    may = (one for one in idle if not one.is_broken and (one.is_outdated or one.idle_since))
    return sorted(may, key=order)
