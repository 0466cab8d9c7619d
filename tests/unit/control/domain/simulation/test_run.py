"""The simulator itself: what it must show of known days."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from control.domain.scaling.state import GroupPolicy
from control.domain.simulation import chance
from control.domain.simulation.chance import Luck
from control.domain.simulation.days import DAYS
from control.domain.simulation.policies import POLICIES
from control.domain.simulation.run import simulate
from control.domain.simulation.world import Day, Offering, Result, Work

GROUP = GroupPolicy(
    name="g", environments=("e1",), rank=0, slots=4, minimum=0, maximum=20, price=1.0
)


def day(*work: Work, length_s: float = 7200.0, **given: object) -> Day:
    return Day("made", work, (replace(Offering(GROUP), **given),), length_s)


def played(made: Day, policy: str = "ours", seed: int = 1) -> Result:
    return simulate(made, POLICIES[policy], random.Random(seed))


def test_the_same_dice_give_the_same_day() -> None:
    made = DAYS["bursty"](random.Random(3))
    short = replace(made, work=made.work[:300])
    assert played(short) == played(short)


def test_an_execution_waits_for_engine_cloud_and_boot() -> None:
    result = played(day(Work(100.0, 60.0), boot_s=(120.0, 120.0)))
    assert 15 + 2 + 120 <= result.wait_s(0.5) <= 15 + 10 + 120
    assert result.machines == 1


def test_a_machine_costs_from_launch_to_the_order_to_end_it() -> None:
    result = played(day(Work(0.0, 60.0), boot_s=(100.0, 100.0)))
    alive_s = 100 + 60 + GROUP.idle_ttl_s
    assert result.cost * 3600 == pytest.approx(alive_s, abs=21)


@pytest.mark.parametrize("policy", POLICIES)
def test_all_work_ends_though_clouds_refuse_fail_and_take_back(policy: str) -> None:
    work = [Work(30.0 * number, 200.0) for number in range(60)]
    result = played(
        day(*work, refusal=0.6, dead=0.1, reclaims_an_hour=0.5, length_s=3600.0), policy
    )
    assert (result.unfinished, result.busy_kills) == (0, 0)
    assert result.refused > 0


def test_a_reclaim_costs_the_run_and_not_the_execution() -> None:
    result = played(day(Work(0.0, 1800.0), raids=((900.0, 1.0),)))
    assert (result.lost_runs, result.reclaimed, result.unfinished) == (1, 1, 0)


def test_a_closed_cloud_is_left_for_the_next_group() -> None:
    closed = Offering(GROUP, closed=((0.0, 7200.0),))
    other = Offering(replace(GROUP, name="other", rank=1, price=2.0))
    made = Day("made", (Work(0.0, 60.0),), (closed, other), 3600.0)
    assert played(made).wait_s(1.0) < 400


def test_the_nth_machine_fares_alike_whoever_asks_for_it() -> None:
    luck = Luck(seed=7)
    assert luck.throw(chance.BOOT, 3) == Luck(seed=7).throw(chance.BOOT, 3)
    throws = [luck.throw(chance.REFUSED, number) for number in range(2000)]
    assert 0.47 < sum(throws) / len(throws) < 0.53
    assert 0.04 < sum(throw < 0.05 for throw in throws) / len(throws) < 0.06


def test_an_agent_hears_that_it_may_work_again_with_its_heartbeat() -> None:
    """Two machines, a few short executions: one is held, and takes work within a heartbeat."""
    work = [Work(0.0, 900.0) for _ in range(8)] + [Work(1100.0, 60.0) for _ in range(8)]
    result = played(day(*work, boot_s=(120.0, 120.0)))
    assert result.machines == 2
    assert 0 < result.wait_s(0.49) <= 20
