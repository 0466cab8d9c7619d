"""A worker group's stack under the real engine: made, resized, edited by a person, taken down."""

from __future__ import annotations

from tests.engines.aws.world import World
from tests.stacks.engine.project import GPU, Project

SPOT = "prod-aws-eu-west-1-wg-spot"
SPOT_GROUP = "talkoot-prod-eu-west-1-wg-spot"
GROUP = "talkoot-prod-eu-west-1-wg-gpu"


def test_a_group_is_made_resized_edited_by_a_person_and_ended(
    checkout: Project, world: World
) -> None:
    checkout.add(GPU, max=8)
    checkout.up(GPU)
    assert world.group(GROUP)["desired"] == 0
    for size in (3, 8):
        checkout.configure(GPU, size=size)
        assert checkout.up(GPU)["update"] == 1
        world.wait_for_running(GROUP, size)
    checkout.configure(GPU, size=None, instanceType="g5.2xlarge")
    person = checkout.up(GPU)
    assert person["update"] == 2
    assert world.group(GROUP)["desired"] == 8
    assert len(world.running(GROUP)) == 8
    preview = checkout.preview(GPU)
    assert preview.changes == {"same"}
    assert preview.broken_rules() == ""
    assert checkout.destroy(GPU)["delete"] == 5
    assert world.groups() == []


def test_a_spot_group_is_made_at_its_minimum_resized_and_ended(
    checkout: Project, world: World
) -> None:
    checkout.add(SPOT, group="spot", market="spot", maxPriceUsd=0.6, min=2, max=8)
    assert set(checkout.up(SPOT)) == {"create"}
    world.wait_for_running(SPOT_GROUP, 2)
    assert _bought(world, SPOT_GROUP) == {"spot"}
    assert set(checkout.up(SPOT)) == {"same"}
    checkout.configure(SPOT, size=5)
    assert checkout.up(SPOT)["update"] == 1
    world.wait_for_running(SPOT_GROUP, 5)
    assert _bought(world, SPOT_GROUP) == {"spot"}
    checkout.configure(SPOT, size=None)
    preview = checkout.preview(SPOT)
    assert preview.changes == {"same"}
    assert preview.broken_rules() == ""
    assert checkout.destroy(SPOT)["delete"] == 5
    assert world.groups() == []


def _bought(world: World, group: str) -> set[str]:
    """How the machines that run were bought."""
    running = world.running(group)
    events = [one for one in world.machines() if one["instance_id"] in running]
    return {one["market"] for one in events if one["event"] == "started"}
