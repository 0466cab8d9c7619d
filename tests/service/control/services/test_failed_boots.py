"""Machines that never join: shown with their console, ended, and too many stop the group."""

from __future__ import annotations

import pytest

from control.services import group_views
from tests.factories import Scene
from tests.fleet_scene import Fleet


@pytest.fixture
def fleet(scene: Scene) -> Fleet:
    return Fleet(scene)


def test_a_machine_that_never_joins_is_shown_with_its_console_and_ended(fleet: Fleet) -> None:
    group = fleet.group(boot_grace_s=120)
    fleet.want(group, 1)
    fleet.tick()
    [row] = fleet.here(group)
    fleet.cloud.console[row.instance_id] = "x" * 100_000 + "\ncloud-init: no such package\n"
    fleet.tick(6)
    failed = fleet.machine(row.instance_id)
    assert failed.state in ("terminating", "gone")
    assert "did not join within 2 minutes" in failed.reason
    assert failed.console.endswith("cloud-init: no such package\n")
    assert len(failed.console) <= 64_000
    assert failed.failed_at is not None
    assert fleet.memory(group).boot_failures == 1
    said = group_views.trouble(fleet.world, fleet.row(group), fleet.now)
    assert said == [
        f"The last console of {row.instance_id}, which never joined:",
        "  | cloud-init: no such package",
    ]


def test_a_console_that_cannot_be_read_delays_an_end_by_minutes_only(fleet: Fleet) -> None:
    group = fleet.group(boot_grace_s=60)
    fleet.want(group, 1)
    fleet.cloud.faults.has_no_console = True
    fleet.tick(5)
    [row] = fleet.here(group)
    assert row.state == "failed"
    fleet.tick(20)
    assert fleet.states(group) == {"gone": 1}


def test_a_broken_image_costs_three_machines_and_opens_the_breaker_with_its_message(
    fleet: Fleet,
) -> None:
    group = fleet.group(boot_grace_s=60, maximum=50, burst=4)
    launched = 0
    for _ in range(40):
        memory = fleet.memory(group)
        if not memory.breaker_reason and not fleet.here(group):
            fleet.want(group, 1)
            launched += 1
        fleet.tick()
    assert launched == 3
    assert "never join" in fleet.memory(group).breaker_reason
    assert fleet.states(group) == {"gone": 3}
    assert all(row.console is not None for row in fleet.all())


@pytest.mark.parametrize("end_s", [0, 45])
def test_machines_that_power_off_before_they_join_are_failures_too(
    fleet: Fleet, end_s: float
) -> None:
    fleet.cloud.faults.end_s = end_s
    group = fleet.group(boot_grace_s=600)
    for _ in range(3):
        fleet.want(group, 1)
        fleet.tick()
        row = fleet.here(group)[-1]
        fleet.cloud.power_off(row.instance_id)
        fleet.tick(3)
    assert "never join" in fleet.memory(group).breaker_reason
    gone = [row for row in fleet.all() if row.gone_at is not None]
    assert len(gone) >= 3
    assert all("before its agent joined" in row.reason for row in gone)


def test_an_agent_that_joins_late_but_before_the_end_keeps_its_machine(fleet: Fleet) -> None:
    group = fleet.group(boot_grace_s=60)
    fleet.want(group, 1)
    fleet.cloud.faults.has_no_console = True  # so that the end waits
    fleet.tick(5)
    [row] = fleet.here(group)
    assert row.state == "failed"
    fleet.join(row.instance_id)
    fleet.tick(20)
    assert fleet.states(group) == {"ready": 1}
    assert fleet.memory(group).boot_failures == 0


def test_a_broken_machine_of_a_group_at_its_minimum_is_replaced(fleet: Fleet) -> None:
    group = fleet.group(boot_grace_s=60, cloud_minimum=1)
    fleet.want(group, 1)
    fleet.tick()
    [first] = fleet.here(group)
    fleet.tick(5)
    assert fleet.machine(first.instance_id).state == "gone"
    capacity = fleet.cloud.capacity(group)
    assert capacity is not None
    assert capacity.desired == 1
    assert len(fleet.here(group)) == 1
