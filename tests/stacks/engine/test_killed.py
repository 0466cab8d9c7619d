"""`talkoot infra` and all it started killed in the middle of a group's first `up` on AWS.

What the cloud had made and the engine had not recorded is found by its name, and nothing is made
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.engines.aws.world import World
from tests.stacks.engine import project
from tests.stacks.engine.project import BASE, Project
from tests.stacks.engine.service import Cloud, make_service
from tests.stacks.engine.states import State, state_of
from tests.stacks.infra.process import Infra, wait_for

SIZE = 3
SILENCE_S = 25.0
PASSWORD = "a-password-of-the-state"
GROUP_TYPE = "aws:autoscaling/group:Group"


@dataclass
class Scene:
    """The service and its part of the account, over some back end of the stacks' state."""

    infra: Infra
    cloud: Cloud
    state: State

    def recorded(self) -> str:
        return self.state.recorded(self.infra.stack)


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


@contextmanager
def scene_of(checkout: Project, world: World, place: Path, group: str) -> Iterator[Scene]:
    infra = make_service(checkout, world, place, group)
    cloud = Cloud(world, infra.group)
    try:
        yield Scene(infra, cloud, state_of(infra.environment))
    finally:
        infra.stop()
        world.mend()
        cloud.empty()
        infra.world.database.close()


def recovers_from(scene: Scene, world: World, checkpoint: Checkpoint) -> None:
    """Kill everything at the checkpoint, start again, and look at what there is."""
    infra, cloud = scene.infra, scene.cloud
    world.fault(seconds=SILENCE_S, **checkpoint.fault)
    infra.start()
    infra.want(SIZE)
    wait_for(lambda: checkpoint.has_come(scene), "the checkpoint")
    infra.kill_all()
    world.mend()
    assert scene.state.locks()
    infra.start()
    wait_for(lambda: infra.group.applied == SIZE, "the size")
    assert scene.state.locks() == []
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


@pytest.mark.parametrize("name", sorted(CHECKPOINTS))
def test_a_first_up_that_is_killed_is_finished_and_makes_nothing_twice(
    checkout: Project, world: World, tmp_path: Path, name: str
) -> None:
    with scene_of(checkout, world, tmp_path, f"killed-{name}") as scene:
        recovers_from(scene, world, CHECKPOINTS[name])


def test_a_group_lives_with_its_state_in_postgresql(
    checkout: Project, world: World, tmp_path: Path, postgres_database: str
) -> None:
    address = urlsplit(postgres_database).netloc.replace("@", f":{PASSWORD}@")
    url = f"postgres://{address}{urlsplit(postgres_database).path}?sslmode=disable"
    beside = project.make(checkout.engine, world, tmp_path / "beside", backend=url)
    beside.add(BASE)
    base = checkout.pulumi("stack", "export", "--stack", BASE).output
    (tmp_path / "base.json").write_text(base)
    beside.pulumi("stack", "import", "--stack", BASE, "--file", str(tmp_path / "base.json"))
    with scene_of(beside, world, tmp_path, "in-postgresql") as scene:
        recovers_from(scene, world, CHECKPOINTS["group-made"])
        assert beside.preview(scene.infra.stack).changes == {"same"}
        assert PASSWORD not in (tmp_path / "infra.log").read_text()
