"""What is launched, drained and taken back. An id is the rule that its row holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from control.domain.scaling.plan import plan
from control.domain.scaling.state import Demand, GroupMemory, GroupNow, GroupPlan, Machine
from tests.unit.control.domain.scaling.worlds import (
    DRAINING,
    FAILED,
    LAUNCHING,
    LOST,
    NOW,
    ago,
    decide,
    group,
    machine,
    machines,
    queue,
)

LATER = NOW + timedelta(minutes=32)
YOUNG = machines(2, LAUNCHING, launched_at=ago(60))
PROBING = GroupMemory(refused_at=ago(300), backoff_s=180.0)
REFUSED = GroupMemory(
    backoff_until=LATER, backoff_class="capacity", backoff_message="InsufficientInstanceCapacity"
)


@pytest.mark.parametrize(
    ("one", "demands", "launch"),
    [
        pytest.param(group(), [queue(1)], 1, id="the-first-execution-wakes-the-group"),
        pytest.param(group(), [queue(40)], 10, id="forty-on-four-slots-need-ten"),
        pytest.param(group(*YOUNG), [queue(40)], 8, id="what-is-starting-counts"),
        pytest.param(group(in_flight=3), [queue(40)], 7, id="what-was-asked-for-counts"),
        pytest.param(group(maximum=5), [queue(40)], 5, id="never-above-the-maximum"),
        pytest.param(group(*machines(2)), [queue(8)], 0, id="free-machines-come-first"),
        pytest.param(
            group(machine("a", busy_slots=3)), [queue(2)], 1, id="a-free-slot-is-filled-first"
        ),
        pytest.param(group(), [queue(5, 3)], 5, id="a-slot-that-nothing-fits-is-lost"),
        pytest.param(
            group(), [queue(2, 3), queue(2, 1)], 2, id="small-ones-fill-what-large-ones-leave"
        ),
        pytest.param(
            group(*machines(3, LAUNCHING, launched_at=ago(1000))),
            [queue(8)],
            2,
            id="one-that-never-comes-up-is-not-waited-for",
        ),
        pytest.param(
            group(*machines(8, LOST), maximum=10), [queue(40)], 2, id="lost-ones-count-in-the-size"
        ),
        pytest.param(
            group(*machines(8, FAILED, is_end_sent=True)),
            [queue(40)],
            10,
            id="what-is-being-ended-leaves-room",
        ),
        pytest.param(group(burst=3), [queue(40)], 3, id="no-more-than-the-burst-at-first"),
        pytest.param(
            group(*YOUNG, burst=3), [queue(40)], 1, id="the-burst-counts-what-is-starting"
        ),
        pytest.param(
            group(*machines(5, busy_slots=4), burst=3, maximum=20),
            [queue(40)],
            5,
            id="as-many-again-as-are-ready",
        ),
        pytest.param(
            group(memory=GroupMemory(burst_now=1.0)), [queue(40)], 1, id="a-burst-that-was-halved"
        ),
        pytest.param(
            group(burst=3, memory=GroupMemory(last_joined_at=ago(9))),
            [queue(40)],
            10,
            id="an-image-that-came-up-needs-no-proof",
        ),
        pytest.param(
            group(burst=3, memory=GroupMemory(last_joined_at=ago(9)), config_version="2"),
            [queue(40)],
            3,
            id="another-image-does",
        ),
        pytest.param(group(minimum=2), [], 2, id="the-minimum-is-kept"),
        pytest.param(group(*machines(2), spare=3), [], 1, id="idle-spare-is-kept"),
        pytest.param(
            group(*machines(2), spare=1, idle_ttl_s=0),
            [queue(8)],
            1,
            id="spare-is-beside-the-queue",
        ),
        pytest.param(group(hourly_budget=3.5), [queue(40)], 3, id="never-above-the-budget"),
        pytest.param(
            group(minimum=2, hourly_budget=0.0), [], 2, id="the-minimum-may-ignore-the-budget"
        ),
        pytest.param(
            group(minimum=2, hourly_budget=1.0, floor_ignores_budget=False),
            [],
            1,
            id="or-the-minimum-keeps-to-the-budget",
        ),
        pytest.param(group(memory=REFUSED), [queue(8)], 0, id="a-refusal-holds-launches-back"),
        pytest.param(
            group(memory=GroupMemory(breaker_reason="bad image")), [queue(8)], 0, id="breaker-open"
        ),
        pytest.param(
            group(
                memory=GroupMemory(breaker_reason="bad", breaker_version="1"), config_version="2"
            ),
            [queue(8)],
            2,
            id="another-configuration-closes-the-breaker",
        ),
        pytest.param(group(is_paused=True), [queue(8)], 0, id="a-person-holds-the-stack"),
        pytest.param(
            group(cloud_read_at=ago(61)), [queue(8)], 0, id="an-old-list-launches-nothing"
        ),
        pytest.param(group(cloud_read_at=None), [queue(8)], 0, id="no-list-launches-nothing"),
        pytest.param(group(has_shrunk=True), [queue(8)], 0, id="half-a-list-launches-nothing"),
        pytest.param(group(registry_read_at=None), [queue(8)], 2, id="launches-need-no-registry"),
        pytest.param(
            group(*machines(2, is_outdated=True, busy_slots=4), minimum=2),
            [],
            2,
            id="the-minimum-is-of-todays-template",
        ),
        pytest.param(
            group(*machines(2, is_outdated=True), minimum=2, maximum=2),
            [],
            0,
            id="without-room-above-the-minimum-old-ones-stay",
        ),
    ],
)
def test_launches(one: GroupNow, demands: list[Demand], launch: int) -> None:
    assert decide(one, *demands).launch == launch


IDLE = machines(3)


@pytest.mark.parametrize(
    ("one", "demands", "drained"),
    [
        pytest.param(group(*IDLE), [], 1, id="a-fifth-and-at-least-one-leaves"),
        pytest.param(group(*machines(10)), [], 2, id="a-fifth-of-ten-is-two"),
        pytest.param(group(*machines(3, busy_slots=1)), [], 0, id="a-busy-machine-never-leaves"),
        pytest.param(group(*IDLE), [queue(12)], 0, id="what-the-queue-needs-stays"),
        pytest.param(group(*IDLE), [queue(8)], 1, id="what-the-queue-leaves-over-goes"),
        pytest.param(
            group(machine("a", idle_since=ago(899))), [], 0, id="not-idle-for-long-enough"
        ),
        pytest.param(group(machine("a", idle_since=ago(900))), [], 1, id="idle-for-long-enough"),
        pytest.param(group(*machines(3, idle_since=ago(299))), [], 0, id="two-stand-in-not-yet"),
        pytest.param(group(*machines(3, idle_since=ago(300))), [], 1, id="two-stand-in-a-third"),
        pytest.param(group(*IDLE, minimum=3), [], 0, id="the-minimum-stays"),
        pytest.param(group(*IDLE, spare=3), [], 0, id="the-spare-stays"),
        pytest.param(
            group(*IDLE, memory=GroupMemory(last_launch_at=ago(119))),
            [],
            0,
            id="not-after-a-launch",
        ),
        pytest.param(
            group(*IDLE, memory=GroupMemory(last_launch_at=ago(120))), [], 1, id="a-while-after-it"
        ),
        pytest.param(group(*IDLE, cloud_read_at=ago(61)), [], 0, id="not-on-an-old-list"),
        pytest.param(group(*IDLE, registry_read_at=ago(61)), [], 0, id="not-on-old-heartbeats"),
        pytest.param(group(*IDLE, registry_read_at=None), [], 0, id="not-without-heartbeats"),
        pytest.param(group(*IDLE, has_shrunk=True), [], 0, id="not-when-half-the-list-went"),
        pytest.param(group(*IDLE, is_paused=True), [], 0, id="not-under-a-persons-hands"),
        pytest.param(
            group(*machines(2, is_broken=True, idle_since=NOW), minimum=2, maximum=2),
            [],
            1,
            id="broken-ones-leave-whatever-the-bounds-say",
        ),
        pytest.param(
            group(*IDLE[:1], machine("old", is_outdated=True, idle_since=NOW), minimum=1),
            [],
            1,
            id="an-outdated-one-need-not-be-idle-for-long",
        ),
        pytest.param(
            group(machine("a", is_reclaimed=True)), [], 0, id="what-the-cloud-takes-is-left-to-it"
        ),
        pytest.param(group(*IDLE, memory=REFUSED), [], 1, id="a-refusal-does-not-keep-idle-ones"),
    ],
)
def test_drains(one: GroupNow, demands: list[Demand], drained: int) -> None:
    assert len(decide(one, *demands).drain) == drained


@pytest.mark.parametrize(
    ("there", "first"),
    [
        pytest.param(
            [machine("a"), machine("b", is_outdated=True, idle_since=ago(10))],
            "b",
            id="outdated-before-idle",
        ),
        pytest.param(
            [machine("a", idle_since=ago(1200)), machine("b", idle_since=ago(7200))],
            "b",
            id="longest-idle",
        ),
        pytest.param(
            [machine("a", cached_bytes=9, idle_since=ago(3650)), machine("b", cached_bytes=1)],
            "b",
            id="of-equally-idle-the-one-with-less-cached",
        ),
        pytest.param(
            [machine("a"), machine("b", is_broken=True, idle_since=NOW)], "b", id="broken-first"
        ),
    ],
)
def test_who_leaves_first(there: list[Machine], first: str) -> None:
    assert decide(group(*there)).drain == (first,)


def taken_back(one: GroupPlan) -> tuple[int, int]:
    return len(one.undrain), one.launch


LEAVING = machines(3, DRAINING)


@pytest.mark.parametrize(
    ("one", "demands", "answer"),
    [
        pytest.param(group(*LEAVING), [queue(8)], (2, 0), id="undrain-before-launching"),
        pytest.param(group(*LEAVING), [queue(16)], (3, 1), id="then-launch-the-rest"),
        pytest.param(group(*LEAVING), [], (0, 0), id="nobody-needs-them"),
        pytest.param(group(*LEAVING, minimum=1), [], (1, 0), id="for-the-minimum-too"),
        pytest.param(group(*LEAVING, spare=2), [], (2, 0), id="for-the-spare-too"),
        pytest.param(
            group(*machines(3, DRAINING, is_end_sent=True)), [queue(8)], (0, 2), id="no-way-back"
        ),
        pytest.param(
            group(*machines(3, DRAINING, is_reclaimed=True)), [queue(8)], (0, 2), id="not-reclaimed"
        ),
        pytest.param(
            group(*machines(3, DRAINING, is_broken=True)), [queue(8)], (0, 2), id="not-broken-ones"
        ),
        pytest.param(group(*LEAVING, cloud_read_at=None), [queue(4)], (1, 0), id="on-an-old-list"),
    ],
)
def test_undrains(one: GroupNow, demands: list[Demand], answer: tuple[int, int]) -> None:
    assert taken_back(decide(one, *demands)) == answer


def test_busy_outdated_machines_get_no_more_work_a_fifth_at_a_time() -> None:
    there = machines(10, busy_slots=2, is_outdated=True)
    assert len(decide(group(*there)).retire) == 2
    assert decide(group(*there, memory=REFUSED)).retire == ()


@pytest.mark.parametrize(
    ("first", "launches"),
    [
        pytest.param({}, (2, 0), id="the-first-rank-takes-it"),
        pytest.param({"maximum": 1}, (1, 1), id="the-next-takes-what-the-maximum-leaves"),
        pytest.param({"memory": REFUSED}, (0, 2), id="the-next-takes-what-was-refused"),
        pytest.param({"hourly_budget": 1.0}, (1, 1), id="the-next-takes-what-money-leaves"),
        pytest.param({"is_paused": True}, (0, 2), id="the-next-takes-what-a-person-holds-up"),
        pytest.param({"slots": 2}, (0, 2), id="the-next-takes-what-does-not-fit"),
        pytest.param({"cloud_read_at": ago(90)}, (0, 0), id="an-old-list-is-waited-for"),
        pytest.param({"cloud_read_at": ago(301)}, (0, 2), id="but-not-for-long"),
        pytest.param(
            {"in_flight": 2, "memory": REFUSED}, (0, 2), id="what-was-refused-is-not-in-flight"
        ),
    ],
)
def test_ranks(first: dict[str, Any], launches: tuple[int, int]) -> None:
    spot = group(name="spot", rank=0, **first)
    other = group(name="on-demand", rank=1, price=3.0)
    made = plan([other, spot], [queue(2, 3)], NOW)
    assert (made.groups[1].launch, made.groups[0].launch) == launches


@pytest.mark.parametrize(
    ("price", "launches"),
    [
        pytest.param(1.5, (0, 2), id="the-next-is-first-for-little-more"),
        pytest.param(1.6, (2, 0), id="but-not-for-much-more"),
    ],
)
def test_after_reclaims(price: float, launches: tuple[int, int]) -> None:
    spot = group(name="spot", rank=0, memory=GroupMemory(avoid_until=LATER))
    other = group(name="other", rank=1, price=price)
    made = plan([spot, other], [queue(2, 3)], NOW).groups
    assert (made[0].launch, made[1].launch) == launches


@pytest.mark.parametrize(
    ("there", "launches"),
    [
        pytest.param({"burst": 3}, (3, 7), id="what-no-machine-has-proved-goes-on"),
        pytest.param({"memory": PROBING}, (1, 9), id="one-asks-a-cloud-that-refused"),
        pytest.param({"memory": PROBING, "in_flight": 1}, (0, 9), id="and-no-second-one"),
        pytest.param(
            {"memory": replace(PROBING, backoff_s=60.0)}, (10, 0), id="for-as-long-as-the-pause"
        ),
        pytest.param(
            {"memory": replace(PROBING, last_joined_at=ago(10))}, (10, 0), id="until-one-came-up"
        ),
    ],
)
def test_what_the_launch_budget_holds_back_goes_to_the_next_group(
    there: dict[str, Any], launches: tuple[int, int]
) -> None:
    first, last = group(name="first", **there), group(name="last", rank=1)
    made = plan([first, last], [queue(40)], NOW).groups
    assert (made[0].launch, made[1].launch) == launches


def test_in_the_last_group_it_waits() -> None:
    made = decide(group(burst=3), queue(40))
    assert (made.launch, made.blocked_by) == (3, "burst")


def test_what_a_reclaimed_machine_runs_is_given_room_before_it_ends() -> None:
    reclaimed = machine("a", DRAINING, busy_slots=3, is_reclaimed=True)
    assert decide(group(reclaimed)).launch == 1
    assert decide(group(reclaimed, machine("b", busy_slots=1))).launch == 0


@pytest.mark.parametrize(
    ("idle_s", "drained"),
    [
        pytest.param(359, 0, id="a-dearer-machine-is-kept-for-the-same-money"),
        pytest.param(360, 1, id="and-not-longer"),
    ],
)
def test_dearer_groups_are_kept_for_a_shorter_time(idle_s: float, drained: int) -> None:
    spot = group(name="spot", price=0.4)
    other = group(machine("a", idle_since=ago(idle_s)), name="on-demand", rank=1, price=1.0)
    assert len(plan([spot, other], [], NOW).groups[1].drain) == drained


def test_what_a_cheaper_group_has_free_stands_in_for_a_dearer_machine() -> None:
    spot = group(machine("b", idle_since=NOW), name="spot", price=0.4)
    other = group(machine("a", idle_since=ago(180)), name="on-demand", rank=1, price=1.0)
    made = plan([spot, other], [], NOW)
    assert [one.drain for one in made.groups] == [(), ("a",)]


def test_what_fits_no_machine_is_named_at_once_and_launches_nothing() -> None:
    made = plan([group()], [queue(3, 5), queue(2, 4, environment="e2")], NOW)
    assert [demand.count for demand in made.unschedulable] == [3, 2]
    assert made.groups[0].launch == 0


def test_what_nothing_may_open_for_is_named() -> None:
    made = plan([group(maximum=1)], [queue(10), queue(3, priority=1)], NOW)
    assert made.unmet == (queue(9),)


def test_what_was_refused_is_no_longer_asked_for() -> None:
    one = decide(group(*machines(2, busy_slots=4), in_flight=5, memory=REFUSED), queue(40))
    assert one.wanted == 2


def test_a_size_counts_what_drains_until_its_end_is_sent() -> None:
    draining = machine("a", DRAINING, is_broken=True)
    assert decide(group(draining), queue(4)).wanted == 2
    assert decide(group(machine("a", DRAINING, is_end_sent=True)), queue(4)).wanted == 1
