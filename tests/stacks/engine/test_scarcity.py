"""What the cloud lacks: an `up` succeeds all the same, and the reason is the group's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from control.domain.scaling import memory as memories
from control.domain.scaling.memory import GroupMemory
from control.plugins.clouds.aws import AwsCloud
from control.services import reconciling
from control.services.machines import Place
from tests.engines.aws.world import World
from tests.engines.processes import wait_until
from tests.scaling_scenes import set_group
from tests.stacks.engine.project import Project
from tests.stacks.engine.service import INSTALLATION, Cloud, make_service
from tests.stacks.infra.process import Infra

NAME = "talkoot-prod-eu-west-1-wg-scarce"
LATER = timedelta(minutes=2)
"""Another zone gives its machines within a minute, so that a refusal counts after that."""
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def infra(checkout: Project, world: World, tmp_path: Path) -> Iterator[Infra]:
    made = make_service(checkout, world, tmp_path, "scarce")
    cloud = Cloud(world, made.group)
    checkout.pulumi("stack", "init", made.stack)
    yield made
    world.mend()
    cloud.empty()
    made.world.database.close()


def test_a_zone_without_capacity_is_left_out_and_a_quota_is_told(
    checkout: Project, world: World, infra: Infra
) -> None:
    options = {"installation": INSTALLATION, **world.environment}
    cloud = AwsCloud.from_url(f"aws:?endpoint={world.endpoint}", options=options)
    talkoot = replace(infra.world, clouds=lambda _name: cloud)
    set_group(talkoot, infra.group_id, resource=NAME, ctime=LONG_AGO)

    def up(size: int) -> None:
        checkout.configure(infra.stack, size=size)
        checkout.up(infra.stack)
        infra.want(size, applied=size)

    def learned() -> GroupMemory:
        place = Place("aws", world.region)
        reconciling.reconcile(talkoot, place, datetime.now(UTC) + LATER)
        return memories.from_json(infra.group.memory)

    world.fault("capacity", zone="eu-west-1a")
    up(2)
    world.wait_for_running(NAME, 2)
    assert {one["zone"] for one in world.group(NAME)["members"]} == {"eu-west-1b"}
    assert learned().backoff_message == "", "the group has all it wanted"
    world.fault("quota", limit=64)
    up(3)
    wait_until(lambda: "current vCPU limit of 64" in learned().backoff_message, what="the quota")
    assert learned().backoff_class == "quota"
    assert len(world.running(NAME)) == 2
