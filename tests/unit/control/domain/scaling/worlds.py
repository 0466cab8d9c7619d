"""Groups, machines and queues for the planner's tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from control.domain.scaling.plan import plan
from control.domain.scaling.state import (
    Demand,
    GroupMemory,
    GroupNow,
    GroupPlan,
    GroupPolicy,
    Machine,
    MachineState,
)

NOW = datetime(2030, 1, 2, 12, 0, tzinfo=UTC)
POLICY = GroupPolicy(
    name="gpu",
    environments=("e1",),
    rank=0,
    slots=4,
    minimum=0,
    maximum=10,
    price=1.0,
    idle_ttl_s=900.0,
)
READY, LAUNCHING = MachineState.READY, MachineState.LAUNCHING
DRAINING, FAILED, LOST = MachineState.DRAINING, MachineState.FAILED, MachineState.LOST


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def machine(name: str, state: MachineState = READY, **given: Any) -> Machine:
    """Make a machine of 4 slots; a ready one without a lease has been idle for an hour."""
    values: dict[str, Any] = {"slots": 4, "busy_slots": 0, "launched_at": ago(3600), **given}
    is_idle = state in (READY, DRAINING) and not values["busy_slots"]
    values.setdefault("idle_since", ago(3600) if is_idle else None)
    return Machine(id=name, state=state, **values)


def machines(count: int, state: MachineState = READY, **given: Any) -> tuple[Machine, ...]:
    return tuple(machine(f"{state.value}-{number}", state, **given) for number in range(count))


def group(*there: Machine, memory: GroupMemory | None = None, **given: Any) -> GroupNow:
    """Make a group; what is given is of the policy or of the group itself, by name."""
    here = {"in_flight", "cloud_read_at", "registry_read_at", "is_paused", "has_shrunk"}
    seen: dict[str, Any] = {"cloud_read_at": NOW, "registry_read_at": NOW}
    seen |= {name: value for name, value in given.items() if name in here}
    policy = replace(POLICY, **{k: v for k, v in given.items() if k not in here})
    return GroupNow(policy, memory or GroupMemory(), there, **seen)


def queue(count: int, slots: int = 1, **given: Any) -> Demand:
    return Demand(given.pop("environment", "e1"), slots, count, **given)


def decide(one: GroupNow, *demands: Demand) -> GroupPlan:
    return plan([one], [demand for demand in demands if demand.count], NOW).groups[0]
