"""The ten invariants of a plan (infrastructure.md 3.4), each a property of random worlds.

PLAN_EXAMPLES sets the number of examples of each (default 3): nightly runs use thousands.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

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
from control.domain.simulation.policies import POLICIES
from control.domain.simulation.run import simulate
from control.domain.simulation.world import Day, Offering, Result, Work
from tests.unit.control.domain.scaling import worlds
from tests.unit.control.domain.scaling.worlds import NOW, ago

EXAMPLES = int(os.environ.get("PLAN_EXAMPLES", "3"))
QUICK = settings(
    max_examples=EXAMPLES * 4,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SLOW = settings(QUICK, max_examples=EXAMPLES)
ENVIRONMENTS = ("e1", "e2")
LIVE = (MachineState.READY, MachineState.LAUNCHING)

times = st.one_of(st.none(), st.integers(0, 4000).map(ago))
policies = st.builds(
    GroupPolicy,
    name=st.just("g"),
    environments=st.sampled_from([("e1",), ("e2",), ENVIRONMENTS]),
    rank=st.integers(0, 2),
    slots=st.integers(1, 8),
    minimum=st.integers(0, 2),
    maximum=st.integers(2, 12),
    price=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    spare=st.integers(0, 2),
    burst=st.sampled_from([1, 5, 20]),
    hourly_budget=st.sampled_from([None, 2.0, 10.0]),
    floor_ignores_budget=st.booleans(),
)
memories = st.builds(
    GroupMemory,
    burst_now=st.sampled_from([None, 1.0, 3.0]),
    backoff_until=st.sampled_from([None, NOW + timedelta(seconds=60), ago(60)]),
    backoff_class=st.sampled_from(["capacity", "quota"]),
    breaker_reason=st.sampled_from(["", "", "", "bad image"]),
    last_launch_at=times,
    avoid_until=st.sampled_from([None, NOW + timedelta(seconds=60)]),
)


@st.composite
def machines_of(draw: st.DrawFn, slots: int) -> tuple[Machine, ...]:
    there: list[Machine] = []
    for number in range(draw(st.integers(0, 8))):
        state = draw(st.sampled_from([MachineState.READY, *MachineState]))
        joined = state in (MachineState.READY, MachineState.DRAINING)
        busy = draw(st.integers(0, slots)) if joined else 0
        there.append(
            Machine(
                id=f"m{number}",
                state=state,
                slots=slots,
                busy_slots=busy,
                launched_at=ago(draw(st.integers(0, 2000))),
                idle_since=ago(draw(st.integers(0, 4000))) if joined and not busy else None,
                is_outdated=draw(st.integers(0, 4)) == 0,
                is_broken=draw(st.integers(0, 6)) == 0,
                is_reclaimed=draw(st.integers(0, 6)) == 0,
                is_end_sent=state is MachineState.DRAINING and draw(st.booleans()),
            )
        )
    return tuple(there)


@st.composite
def groups(draw: st.DrawFn) -> list[GroupNow]:
    made: list[GroupNow] = []
    for number in range(draw(st.integers(1, 3))):
        policy = replace(draw(policies), name=f"g{number}")
        seen = st.sampled_from([NOW, NOW, NOW, ago(90), None])
        made.append(
            GroupNow(
                policy,
                draw(memories),
                draw(machines_of(policy.slots)),
                in_flight=draw(st.sampled_from([0, 0, 1, 3])),
                cloud_read_at=draw(seen),
                registry_read_at=draw(seen),
                is_paused=draw(st.integers(0, 6)) == 0,
                has_shrunk=draw(st.integers(0, 6)) == 0,
            )
        )
    return made


demands = st.lists(
    st.builds(
        Demand,
        environment=st.sampled_from(ENVIRONMENTS),
        slots=st.integers(1, 8),
        count=st.integers(1, 40),
        priority=st.integers(0, 2),
    ),
    max_size=4,
    unique_by=lambda one: (one.environment, one.slots, one.priority),
)


def live(group: GroupNow) -> int:
    return sum(1 for machine in group.machines if machine.is_live)


def by_id(group: GroupNow) -> dict[str, Machine]:
    return {machine.id: machine for machine in group.machines}


def planned(there: list[GroupNow], queue: list[Demand]) -> list[tuple[GroupNow, GroupPlan]]:
    return list(zip(there, plan(there, queue, NOW).groups, strict=True))


@QUICK
@given(groups(), demands)
def test_1_a_launch_is_never_negative_and_never_passes_the_maximum(
    there: list[GroupNow], queue: list[Demand]
) -> None:
    for group, made in planned(there, queue):
        size = made.wanted - made.launch  # live, and what is in flight and not refused
        assert made.launch >= 0
        assert live(group) <= size <= live(group) + group.in_flight
        assert made.wanted <= max(group.policy.maximum, size)


@QUICK
@given(groups(), demands)
@example(
    [worlds.group(worlds.machine("a", busy_slots=4), hourly_budget=2.0)], [worlds.queue(10, 4)]
)
def test_2_spending_never_passes_the_budget_by_a_launch(
    there: list[GroupNow], queue: list[Demand]
) -> None:
    for group, made in planned(there, queue):
        policy = group.policy
        if policy.hourly_budget is None or not made.launch:
            continue
        floor = policy.minimum * policy.price if policy.floor_ignores_budget else 0.0
        worn = sum(1 for one in group.machines if one.is_live and not is_serving(one))
        allowed = max(policy.hourly_budget or 0.0, floor + worn * policy.price)
        before = (made.wanted - made.launch) * policy.price
        assert made.wanted * policy.price <= max(allowed, before) + 1e-6


def is_serving(machine: Machine) -> bool:
    is_worn = machine.is_outdated or machine.is_broken or machine.is_reclaimed
    return machine.state in LIVE and not is_worn and machine.launched_at >= ago(900)


@QUICK
@given(groups(), demands)
def test_3_who_leaves_is_ready_and_holds_no_lease(
    there: list[GroupNow], queue: list[Demand]
) -> None:
    for group, made in planned(there, queue):
        for id_ in made.drain:
            machine = by_id(group)[id_]
            assert (machine.state, machine.busy_slots) == (MachineState.READY, 0)


@QUICK
@given(groups(), demands)
@example([worlds.group(worlds.machine("a"), slots=8)], [worlds.queue(1, 8)])
def test_4_no_group_launches_and_drains_in_one_tick(
    there: list[GroupNow], queue: list[Demand]
) -> None:
    for _, made in planned(there, queue):
        assert not (made.launch and made.drain)


@QUICK
@given(groups(), demands)
@example([worlds.group(*worlds.machines(2, is_outdated=True), minimum=2, maximum=2)], [])
def test_5_the_minimum_stays_but_for_broken_machines(
    there: list[GroupNow], queue: list[Demand]
) -> None:
    for group, made in planned(there, queue):
        up = [machine for machine in group.machines if machine.state in LIVE]
        flying = made.wanted - made.launch - live(group)
        count = sum(1 for one in up if one.is_live) + flying
        drained = [by_id(group)[id_] for id_ in made.drain]
        sound = sum(1 for machine in drained if not machine.is_broken)
        if sound:
            assert count - len(drained) >= min(group.policy.minimum, count)


@QUICK
@given(groups(), demands)
def test_6_the_same_observation_gives_the_same_plan(
    there: list[GroupNow], queue: list[Demand]
) -> None:
    assert plan(there, queue, NOW) == plan(list(there), list(reversed(queue)), NOW)


@QUICK
@given(groups(), demands)
def test_old_news_never_drain_and_old_lists_never_launch(
    there: list[GroupNow], queue: list[Demand]
) -> None:
    for group, made in planned(there, queue):
        is_listed = group.cloud_read_at == NOW and not group.has_shrunk and not group.is_paused
        assert is_listed or not made.launch
        assert (is_listed and group.registry_read_at == NOW) or not made.drain


# Days on simulated clouds.

CLOUD: dict[str, Any] = {"refusal": 0.0, "dead": 0.0, "reclaims_an_hour": 0.0}
works = st.lists(
    st.builds(
        Work,
        at=st.integers(0, 1800).map(float),
        duration_s=st.integers(20, 900).map(float),
        slots=st.integers(1, 2),
    ),
    min_size=1,
    max_size=30,
).map(lambda there: tuple(sorted(there, key=lambda one: one.at)))
runs = st.builds(
    GroupPolicy,
    name=st.just("g"),
    environments=st.just(("e1",)),
    rank=st.just(0),
    slots=st.integers(2, 4),
    minimum=st.integers(0, 2),
    maximum=st.integers(3, 10),
    price=st.just(1.0),
    spare=st.integers(0, 1),
    burst=st.sampled_from([1, 5, 20]),
    idle_ttl_s=st.sampled_from([60.0, 600.0]),
)


def played(work: tuple[Work, ...], policy: GroupPolicy, length_s: float, **given_: Any) -> Result:
    crash = given_.pop("crash", None)
    day = Day("made", work, (Offering(policy, **(CLOUD | given_)),), length_s)
    chance = random.Random(5)
    return simulate(
        day, POLICIES["ours"], random.Random(7), crash=lambda: chance.random() < (crash or 0.0)
    )


LONG = tuple(Work(10.0 * number, 900.0) for number in range(30))
HARD = GroupPolicy("g", ("e1",), 0, 4, 0, 10, 1.0, burst=1)


@SLOW
@given(works, runs, st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 2.0]))
@example(LONG, HARD, 0.3, 2.0)
def test_7_all_that_fits_finishes_whatever_fails(
    work: tuple[Work, ...], policy: GroupPolicy, refusal: float, reclaims: float
) -> None:
    result = played(work, policy, 3600.0, refusal=refusal, reclaims_an_hour=reclaims, dead=0.05)
    assert (result.unfinished, result.busy_kills) == (0, 0)


@SLOW
@given(works, runs)
def test_8_after_the_last_execution_only_the_floor_is_left(
    work: tuple[Work, ...], policy: GroupPolicy
) -> None:
    result = played(work, policy, 20_000.0)
    last = result.samples[-1]
    assert result.unfinished == 0
    assert last.live <= max(policy.minimum, policy.spare, policy.minimum + policy.spare)
    assert last.live >= min(policy.maximum, policy.minimum)


@QUICK
@given(groups(), demands, st.sampled_from(ENVIRONMENTS))
@example([worlds.group()], [worlds.queue(8)], "e1")
def test_9_one_more_execution_never_means_fewer_launches(
    there: list[GroupNow], queue: list[Demand], environment: str
) -> None:
    more = [*queue, Demand(environment, 1, 1, priority=-1)]
    before = sum(made.launch for _, made in planned(there, queue))
    assert sum(made.launch for _, made in planned(there, more)) >= before


@SLOW
@given(works, runs)
def test_9_a_higher_maximum_never_means_a_longer_wait(
    work: tuple[Work, ...], policy: GroupPolicy
) -> None:
    fixed = {"boot_s": (120.0, 120.0)}
    same = tuple(replace(one, at=0.0, duration_s=300.0, slots=1) for one in work)
    high = replace(policy, maximum=policy.maximum * 2)
    waits = [sum(played(same, one, 3600.0, **fixed).waits_s) for one in (policy, high)]
    assert waits[1] <= waits[0] + 20 * len(work)  # the dice of starts and reports


@SLOW
@given(st.integers(1, 40), st.integers(1, 4), st.sampled_from([0.05, 0.3, 0.6]))
def test_10_a_crash_between_any_two_side_effects_launches_and_kills_nothing_twice(
    count: int, slots: int, crash: float
) -> None:
    policy = GroupPolicy("g", ("e1",), 0, slots, 0, 40, 1.0, idle_ttl_s=60.0)
    work = tuple(Work(0.0, 3000.0) for _ in range(count))
    result = played(work, policy, 12_000.0, crash=crash)
    assert result.machines == -(-count // slots)
    assert (result.busy_kills, result.unfinished) == (0, 0)


def test_a_queue_of_a_million_costs_what_ten_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count the calls, not the time: the same steps whatever the count is."""
    from control.domain.scaling import packing

    calls: list[int] = []
    fill = packing.Bins._fill

    def counted(self: packing.Bins, bins: dict[int, int], free: int, slots: int, n: int) -> int:
        calls.append(n)
        return fill(self, bins, free, slots, n)

    monkeypatch.setattr(packing.Bins, "_fill", counted)
    policy = GroupPolicy("g", ("e1",), 0, 4, 0, 10, 1.0)
    group = GroupNow(policy, GroupMemory(), (), cloud_read_at=NOW, registry_read_at=NOW)
    steps: list[int] = []
    for count in (1_000, 1_000_000):
        calls.clear()
        plan([group], [Demand("e1", 1, count)], NOW)
        steps.append(len(calls))
    assert steps[0] == steps[1]
