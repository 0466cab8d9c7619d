"""What the machines of a group cost, counted while they are there."""

from __future__ import annotations

import pytest

from tests.factories import Scene
from tests.fleet_scene import Fleet


@pytest.fixture
def fleet(scene: Scene) -> Fleet:
    return Fleet(scene)


def test_money_is_counted_each_minute(fleet: Fleet) -> None:
    group = fleet.group(price_per_hour_usd=0.5)
    fleet.running(group, 4)
    before = fleet.memory(group).spent_this_month
    fleet.tick(120)  # an hour
    spent = fleet.memory(group).spent_this_month - before
    assert spent == pytest.approx(4 * 0.5, rel=0.05)


def test_a_spot_price_is_the_cloud_s_and_asked_for_each_hour(fleet: Fleet) -> None:
    group = fleet.group(markets=("spot",), price_per_hour_usd=9.0)
    steady = fleet.group("steady", price_per_hour_usd=2.0)
    fleet.cloud.prices["g5.xlarge", "spot"] = 0.4
    fleet.tick(10)
    assert fleet.row(group).price_per_hour_usd == 0.4
    assert fleet.row(steady).price_per_hour_usd == 2.0
    assert fleet.cloud.calls.count("price") == 1
    fleet.cloud.prices.clear()
    fleet.tick(120)
    assert fleet.row(group).price_per_hour_usd == 0.4
    assert fleet.cloud.calls.count("price") == 2


def test_a_clock_that_jumps_a_day_costs_an_hour_at_most(fleet: Fleet) -> None:
    group = fleet.group(price_per_hour_usd=1.0)
    fleet.running(group, 2)
    before = fleet.memory(group).spent_this_month
    fleet.tick(seconds=24 * 3600)
    assert fleet.memory(group).spent_this_month - before <= 2.01
