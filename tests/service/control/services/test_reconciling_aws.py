"""The same truth from a fake AWS account whose machines take time: by the real adapter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from control.domain.cloud_ports import GroupRef
from control.plugins.clouds.aws import AwsCloud
from tests.engines.aws.gate import KEY_ID, SECRET_KEY
from tests.engines.aws.world import World
from tests.engines.aws_account import Account
from tests.engines.processes import wait_until
from tests.factories import Scene
from tests.fleet_scene import Fleet
from tests.scaling_scenes import set_group


@dataclass
class Life:
    """A fleet whose cloud is the fake account."""

    fleet: Fleet
    account: Account
    aws: World

    def group(self, **given: int) -> GroupRef:
        """Make a group in the account and in the database."""
        group = self.account.make_group(minimum=0, maximum=50)
        self.fleet.group(group.name, **given)
        set_group(self.fleet.world, self.fleet.row(group).id, resource=group.resource)
        return group

    def want(self, group: GroupRef, count: int) -> None:
        """Do what a decision and its `up` do."""
        set_group(self.fleet.world, self.fleet.row(group).id, wanted=count, applied=count)
        self.account.want(group, count)


@pytest.fixture
def life(scene: Scene, aws: World) -> Iterator[Life]:
    aws.pace(launch_s=0.1, end_s=0.2, retry_s=0.2, heal_s=0.2)
    with Account.open(aws.endpoint, (KEY_ID, SECRET_KEY), aws.region) as account:
        cloud = AwsCloud.from_url(f"aws:?endpoint={aws.endpoint}", options=account.options())
        fleet = Fleet(scene)
        scene.world = replace(scene.world, clouds=lambda _name: cloud)
        yield Life(fleet, account, aws)


def test_a_machine_s_whole_life(life: Life) -> None:
    fleet, group = life.fleet, life.group(boot_grace_s=120)
    life.want(group, 2)
    life.aws.wait_for_running(group.resource, 2)
    assert fleet.tick() == 1
    good, bad = [row.instance_id for row in fleet.here(group)]
    fleet.join(good)
    life.aws.write_console(bad, "cloud-init: no such package\n")
    fleet.tick(6)
    assert fleet.machine(good).state == "ready"
    failed = fleet.machine(bad)
    assert failed.state == "terminating"
    assert "no such package" in failed.console

    def is_over() -> bool:
        fleet.tick()
        return fleet.states(group) == {"ready": 1, "gone": 1}

    wait_until(is_over, what="the end of the machine that never joined")
    assert life.aws.group(group.resource)["desired"] == 1
    assert fleet.row(group).cloud_error == ""


def test_forty_machines_outlive_an_empty_answer(life: Life) -> None:
    fleet, group = life.fleet, life.group()
    life.want(group, 40)
    life.aws.wait_for_running(group.resource, 40)
    fleet.tick()
    for row in fleet.here(group):
        fleet.join(row.instance_id)
    fleet.tick()
    fault = life.aws.fault("empty", operation="DescribeInstances")
    fleet.tick(4)
    assert fleet.states(group) == {"ready": 40}
    assert fleet.row(group).has_shrunk
    life.aws.mend(fault)
    fleet.tick()
    assert not fleet.row(group).has_shrunk
    assert len(life.aws.running(group.resource)) == 40


@pytest.mark.parametrize(
    ("fault", "words"), [("capacity", "sufficient c5.large capacity"), ("quota", "vCPU")]
)
def test_a_refused_launch_is_the_group_s_reason(life: Life, fault: str, words: str) -> None:
    fleet, group = life.fleet, life.group()
    fleet.tick()
    # Activities bear this year's time; the group was asked for in a scene that plays later.
    set_group(fleet.world, fleet.row(group).id, ctime=fleet.row(group).ctime.replace(year=2020))
    life.aws.fault(fault)
    life.want(group, 1)

    def is_told() -> bool:
        fleet.tick()
        return words in fleet.memory(group).backoff_message

    wait_until(is_told, what="the cloud's words")
    assert fleet.memory(group).backoff_until is not None


def test_wrong_credentials_are_the_group_s_reason(life: Life) -> None:
    fleet, group = life.fleet, life.group()
    life.aws.fault("credentials")
    assert fleet.tick() == 0
    assert "does not accept these credentials" in fleet.row(group).cloud_error


def test_an_orphan_is_ended_after_ten_minutes(life: Life) -> None:
    fleet = life.fleet
    life.group()
    stray = life.account.launch("deleted-group")
    fleet.tick(20)
    assert fleet.machine(stray).end_sent_at is None
    fleet.tick(4)
    assert fleet.machine(stray).state == "gone"
