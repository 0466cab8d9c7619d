"""A worker group's stack under the real engine: made, resized, edited by a person, taken down."""

from __future__ import annotations

from tests.engines.aws.world import World
from tests.stacks.engine.project import GPU, Project

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
    assert set(checkout.preview(GPU)["changeSummary"]) == {"same"}
    assert checkout.destroy(GPU)["delete"] == 5
    assert world.groups() == []
