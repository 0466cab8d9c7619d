"""Talkoot's own rule and its peers', as pure functions under one simulator.

The peers' are written from their documented rules (infrastructure.md 3.1 and 3.2), each with its
own defaults, and where a rule leaves something open, with the better reading for the peer.
"""

from __future__ import annotations

from collections.abc import Sequence

from control.domain.scaling.packing import Bins, machines_for
from control.domain.scaling.plan import plan
from control.domain.scaling.state import Demand, GroupNow, Machine, MachineState
from control.domain.simulation.fleet import moment
from control.domain.simulation.world import Orders, Policy, Seen

BUILDKITE_IDLE_S = 600.0
"""An agent disconnects itself after so long without work, and its instance ends."""

BUILDKITE_DANGLING_S = 3600.0
"""An instance without an agent is looked at after an hour."""

KARPENTER_UNAVAILABLE_S = 180.0
"""An offering that refused is left out for three minutes."""

KARPENTER_REGISTRATION_S = 900.0
KEDA_POLL_S = 30.0
NODE_PROVISION_S = 900.0
"""KEDA leaves machines to the cluster, whose autoscaler gives up on one after 15 minutes."""

ENGINE_S = 15.0
"""An `up` of a worker group's stack; only ours runs one, the peers call the cloud's own API."""


def ours(seen: Sequence[Seen], demands: Sequence[Demand], at: float) -> Sequence[Orders]:
    """Decide as Talkoot does."""
    made = plan([one.now for one in seen], demands, moment(at))
    return [Orders(group.wanted, group.drain, group.undrain, group.hold) for group in made.groups]


def buildkite(seen: Sequence[Seen], demands: Sequence[Demand], at: float) -> Sequence[Orders]:
    """Decide as the Buildkite agent scaler: instances for what is scheduled and what runs.

    Desired only rises; agents that are idle for long end their own instance. One group: there is
    no falling back to another.
    """
    first, *others = seen
    policy = first.now.policy
    required = _waiting_slots(demands) + sum(one.busy_slots for one in first.now.machines)
    size = -(-required // policy.slots)
    size = min(max(size, policy.minimum, _size(first.now)), policy.maximum)
    return [Orders(size, _idle(first.now, BUILDKITE_IDLE_S, at)), *(Orders(0) for _ in others)]


def keda(seen: Sequence[Seen], demands: Sequence[Demand], at: float) -> Sequence[Orders]:
    """Decide as KEDA's ScaledJob with the accurate strategy: what waits, less what is pending.

    A machine takes work as long as there is any and ends itself then, which is kinder than one
    machine for each job. One group: there is no falling back to another.
    """
    first, *others = seen
    policy = first.now.policy
    queued = sum(machines_for(one.count, one.slots, policy.slots) for one in demands)
    launching = sum(1 for one in first.now.machines if one.state is MachineState.LAUNCHING)
    size = _size(first.now)
    launch = min(queued - launching - first.now.in_flight, policy.maximum - size)
    return [Orders(size + max(0, launch), _idle(first.now, 0.0, at)), *(Orders(0) for _ in others)]


def karpenter(seen: Sequence[Seen], demands: Sequence[Demand], at: float) -> Sequence[Orders]:
    """Decide as Karpenter: pack what is pending on nodes and new ones, the cheapest that may be.

    Empty nodes go at once (consolidateAfter 0 s); what refused is left out for three minutes.
    """
    bins = [_bins(one.now) for one in seen]
    sizes = [_size(one.now) for one in seen]
    order = sorted(range(len(seen)), key=lambda index: seen[index].now.policy.price)
    usable = [index for index in order if not _is_unavailable(seen[index], at)]
    for demand in sorted(demands, key=lambda one: -one.slots):
        left = demand.count
        for index in order:
            left -= bins[index].place(demand.slots, left)
        for index in usable:
            policy = seen[index].now.policy
            needed = machines_for(left, demand.slots, policy.slots) if left else 0
            opened = max(0, min(needed, policy.maximum - sizes[index]))
            sizes[index] += opened
            bins[index].add(policy.slots, opened)
            left -= bins[index].place(demand.slots, left)
    return [
        Orders(size, () if demands else _idle(one.now, 0.0, at))
        for one, size in zip(seen, sizes, strict=True)
    ]


def _waiting_slots(demands: Sequence[Demand]) -> int:
    return sum(demand.count * demand.slots for demand in demands)


def _size(now: GroupNow) -> int:
    return sum(1 for machine in now.machines if machine.is_live) + now.in_flight


def _idle(now: GroupNow, idle_s: float, at: float) -> tuple[str, ...]:
    """Name the machines idle for so long, as far as the minimum allows."""
    spare = _size(now) - now.policy.minimum
    idle = [one.id for one in now.machines if _is_idle(one, idle_s, at)]
    return tuple(idle[: max(0, spare)])


def _is_idle(machine: Machine, idle_s: float, at: float) -> bool:
    since = machine.idle_since
    is_ready = machine.state is MachineState.READY and not machine.is_reclaimed
    return is_ready and since is not None and (moment(at) - since).total_seconds() >= idle_s


def _bins(now: GroupNow) -> Bins:
    bins = Bins()
    bins.add(now.policy.slots, now.in_flight)
    for machine in now.machines:
        if machine.state is MachineState.READY and machine.busy_slots:
            bins.add_part(machine.slots - machine.busy_slots)
        elif machine.state in (MachineState.READY, MachineState.LAUNCHING):
            bins.add(machine.slots)
    return bins


def _is_unavailable(seen: Seen, at: float) -> bool:
    return seen.refused_at is not None and at - seen.refused_at < KARPENTER_UNAVAILABLE_S


POLICIES = {
    policy.name: policy
    for policy in (
        Policy("ours", ours, after_submit_s=0.0, engine_s=ENGINE_S, learns=True),
        Policy("buildkite", buildkite, boot_limit_s=BUILDKITE_DANGLING_S),
        Policy(
            "karpenter",
            karpenter,
            after_submit_s=1.0,
            has_group=False,
            boot_limit_s=KARPENTER_REGISTRATION_S,
        ),
        Policy(
            "keda",
            keda,
            period_s=KEDA_POLL_S,
            heeds_notices=False,
            boot_limit_s=NODE_PROVISION_S,
        ),
    )
}
"""By the names of the command line."""
