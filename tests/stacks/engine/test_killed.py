"""`talkoot infra` and all it started killed in the middle of a group's first `up` on AWS.

What the cloud had made and the engine had not recorded is found by its name, and nothing is made
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engines.aws.world import World
from tests.stacks.engine.project import Project
from tests.stacks.engine.service import Cloud, make_service
from tests.stacks.infra.process import Infra, wait_for

SIZE = 3
SILENCE_S = 25.0
GROUP_TYPE = "aws:autoscaling/group:Group"


@dataclass
class Scene:
    """The service and its part of the account."""

    infra: Infra
    cloud: Cloud

    def recorded(self) -> str:
        files = self.infra.state.glob(f".pulumi/stacks/**/{self.infra.stack}.json")
        return "".join(file.read_text() for file in files)


@dataclass(frozen=True)
class Checkpoint:
    """A moment of an `up` that is held, and how to see that it has come."""

    fault: Mapping[str, Any]
    has_come: Callable[[Scene], object]
    told: str


CHECKPOINTS = {
    "template-made": Checkpoint(
        {"kind": "slow", "operation": "CreateLaunchTemplate", "when": "after"},
        lambda scene: scene.cloud.templates(),
        "creating template had not been confirmed: lt-",
    ),
    "group-asked": Checkpoint(
        {"kind": "provider", "type": GROUP_TYPE, "verb": "create"},
        lambda scene: GROUP_TYPE in scene.recorded(),
        "creating group had not been confirmed: it is not there",
    ),
    "group-made": Checkpoint(
        {"kind": "slow", "operation": "CreateAutoScalingGroup", "when": "after"},
        lambda scene: scene.cloud.groups(),
        "creating group had not been confirmed: talkoot-prod-eu-west-1-wg-",
    ),
}


@pytest.fixture(params=sorted(CHECKPOINTS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def scene(checkout: Project, world: World, tmp_path: Path, name: str) -> Iterator[Scene]:
    infra = make_service(checkout, world, tmp_path, f"killed-{name}")
    cloud = Cloud(world, infra.group)
    yield Scene(infra, cloud)
    infra.stop()
    world.mend()
    cloud.empty()
    infra.world.database.close()


def test_a_first_up_that_is_killed_is_finished_and_makes_nothing_twice(
    scene: Scene, world: World, name: str
) -> None:
    infra, cloud, checkpoint = scene.infra, scene.cloud, CHECKPOINTS[name]
    world.fault(seconds=SILENCE_S, **checkpoint.fault)
    infra.start()
    infra.want(SIZE)
    wait_for(lambda: checkpoint.has_come(scene), name)
    infra.kill_all()
    world.mend()
    assert infra.locks
    infra.start()
    wait_for(lambda: infra.group.applied == SIZE, "the size")
    assert infra.locks == []
    assert len(cloud.templates()) == 1
    (group,) = cloud.groups()
    assert group["DesiredCapacity"] == SIZE
    assert {one["ProcessName"] for one in group["SuspendedProcesses"]} == {
        "AZRebalance",
        "ReplaceUnhealthy",
    }
    world.wait_for_running(group["AutoScalingGroupName"], SIZE)
    assert cloud.started() == SIZE
    assert '"pending_operations"' not in scene.recorded()
    (lost,) = [run for run in infra.runs if run.status == "lost"]
    assert checkpoint.told in lost.error
    assert [run.status for run in infra.runs if run.id != lost.id] == ["succeeded"]
