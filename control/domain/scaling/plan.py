"""The decision on the size of every worker group: one pure function of what is observed.

    what is free ─► pack the queue ─► floors ─► launch budget and money ─► drains ─► a sentence

The same observation gives the same plan: no clock, no dice, no order of execution but the order
of the groups. The work grows with groups, machines and shapes of executions, never with the number
that waits. Source: infrastructure.md 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from control.domain.scaling import drains, holding, reasons
from control.domain.scaling.draft import KINDS, Draft, draft
from control.domain.scaling.state import Demand, GroupNow, GroupPlan, Machine, Plan

LITTLE_MORE = 1.5
"""A group that costs up to so much more is tried before one whose machines were taken back."""

_LAST = datetime.max.replace(tzinfo=UTC)


def plan(groups: Sequence[GroupNow], demands: Sequence[Demand], now: datetime) -> Plan:
    """Decide what every group launches, drains and takes back, and say why.

    `demands` counts what waits, by shape; those of an environment that no group serves are
    answered as unschedulable, so leave out environments whose machines nobody scales. An answer
    is a wish: what it names is checked again by the guarded UPDATE that carries it out.
    """
    drafts = [draft(group, now) for group in groups]
    serving = _by_environment(drafts)
    unschedulable: list[Demand] = []
    unmet: list[Demand] = []
    for demand in sorted(demands, key=_order):
        able = [one for one in serving.get(demand.environment, ()) if one.slots >= demand.slots]
        if not able:
            unschedulable.append(demand)
        elif left := _place(able, demand):
            unmet.append(replace(demand, count=left))
    for one in drafts:
        if one.losing:  # what they run is queued again in a moment
            environment = one.group.policy.environments[0]
            _place(serving[environment], Demand(environment, 1, one.losing))
    for one in drafts:
        one.keep_floors()
    _compare(drafts, serving)
    held = holding.choose(drafts, now)
    return Plan(
        tuple(_decide(one, held, now) for one in drafts), tuple(unschedulable), tuple(unmet)
    )


def _order(demand: Demand) -> tuple[int, int, datetime]:
    """Sort: the most urgent first, then the largest, then who waits longest (step 2)."""
    return (-demand.priority, -demand.slots, demand.oldest_at or _LAST)


def _by_environment(drafts: Sequence[Draft]) -> dict[str, list[Draft]]:
    """List the groups of each environment in the order they are tried.

    By rank; one that is avoided comes after those that cost little more.
    """
    served: dict[str, list[Draft]] = {}
    for one in sorted(drafts, key=lambda one: one.group.policy.rank):
        for environment in one.group.policy.environments:
            served.setdefault(environment, []).append(one)
    for there in served.values():
        for one in [one for one in there if one.is_avoided]:
            price = one.group.policy.price * LITTLE_MORE
            cheap = [it for it in there if not it.is_avoided and it.group.policy.price <= price]
            if cheap:
                there.remove(one)
                there.insert(there.index(cheap[-1]) + 1, one)
    return served


def _compare(drafts: Sequence[Draft], serving: Mapping[str, Sequence[Draft]]) -> None:
    """Keep idle machines of a dearer group for a shorter time: for the same money, not as long.

    Worked example: spot at 0.40 is kept idle for 15 minutes, its on-demand fall-back at 1.00 for
    6. What cheaper groups of all its environments have free stands in for it, too.
    """
    offers = {
        environment: [(one.group.policy.price, _free(one)) for one in there]
        for environment, there in serving.items()
    }
    for one in drafts:
        policy = one.group.policy
        if one.idle:
            cheaper = [
                [offer for offer in offers[environment] if offer[0] < policy.price]
                for environment in policy.environments
            ]
            if cheaper and all(cheaper):
                cheapest = max(min(price for price, _ in there) for there in cheaper)
                one.idle_ttl_s = policy.idle_ttl_s * cheapest / policy.price
                one.free_before = min(sum(free for _, free in there) for there in cheaper)


def _free(one: Draft) -> int:
    return one.bins["ready"].free + one.bins["held"].free


def _place(able: Sequence[Draft], demand: Demand) -> int:
    """Put one shape onto machines, then open new ones; answer how many found no place."""
    left = demand.count
    for kind in KINDS:
        for one in able:
            if left == 0:
                return 0
            left = one.put(kind, demand.slots, left)
    for one in able:
        if left == 0:
            return 0
        left = one.open(demand.slots, left, is_last=one is able[-1])
    return left


def _decide(one: Draft, held: Mapping[str, tuple[str, ...]], now: datetime) -> GroupPlan:
    launch = one.launches()
    undrained = _undrained(one)
    drained = () if launch else drains.choose(one, now)
    retired = () if launch else drains.retire(one, now, len(drained))
    blocked_by = _blocked_by(one, launch)
    return GroupPlan(
        group=one.group.policy.name,
        wanted=one.live + launch,
        launch=launch,
        drain=drained,
        undrain=undrained,
        reason=reasons.sentence(one, launch, len(undrained), len(drained), blocked_by),
        blocked_by=blocked_by,
        waits_for=_ends_at(one, blocked_by),
        retire=retired,
        hold=tuple(id_ for id_ in held.get(one.group.policy.name, ()) if id_ not in drained),
    )


def _undrained(one: Draft) -> tuple[str, ...]:
    """Name the leaving machines that are needed after all: those with the most in their cache."""
    whole = dict(one.bins["leaving"].whole)
    kept: list[Machine] = []
    for machine in sorted(one.leaving, key=lambda machine: (machine.cached_bytes, machine.id)):
        if whole.get(machine.slots, 0) > 0:
            whole[machine.slots] -= 1
        else:
            kept.append(machine)
    return tuple(machine.id for machine in kept)


def _blocked_by(one: Draft, launch: int) -> str:
    """Name what limits the group; a gate that nobody ran into is told only when it lasts."""
    if one.gate is not None and (one.short or one.opened or one.gate.kind != "backoff"):
        return one.gate.kind
    if one.short:
        return max(one.short, key=lambda kind: one.short[kind])
    if launch < one.opened:
        return "burst"
    return "avoided" if one.is_avoided else ""


def _ends_at(one: Draft, blocked_by: str) -> datetime | None:
    if one.gate is not None and one.gate.kind == blocked_by:
        return one.gate.until
    return one.group.memory.avoid_until if blocked_by == "avoided" else None
