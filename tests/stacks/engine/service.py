"""`talkoot infra` over the real programs, in the fake account, beside the session's base stack."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from control.database.rows import AnyRow
from tests.engines.aws.world import World
from tests.engines.infra_repository import InfraRepository
from tests.factories import make_scene
from tests.scaling_scenes import BASE, add_group
from tests.stacks.engine.project import ROOT, Project
from tests.stacks.infra.process import Infra

INSTALLATION = "acme"  # as the samples say


def make_service(checkout: Project, world: World, place: Path, group: str) -> Infra:
    """Make an installation with one group that no stack was made for; its process is not begun."""
    (place / "data").mkdir()
    url = f"sqlite:///{place}/data/talkoot.db"
    repository = InfraRepository(place / "repository")
    shutil.copytree(ROOT / "stacks", repository.folder / "stacks", dirs_exist_ok=True)
    scene = make_scene(url)
    row = add_group(scene, group, base_stack=BASE)
    checkout.configure(row.stack, group=group)
    config = checkout.folder / f"Pulumi.{row.stack}.yaml"
    repository.put(
        {"Pulumi.yaml": (ROOT / "Pulumi.yaml").read_text(), config.name: config.read_text()}
    )
    environment = {
        **checkout.environment,
        **world.environment,
        "DATABASE_URL": url,
        "TALKOOT_INFRA_REPO": str(repository.folder),
        "TALKOOT_INFRA_PARALLEL": "1",
        "TALKOOT_INSTALLATION": INSTALLATION,
    }
    state = Path(urlsplit(checkout.environment["PULUMI_BACKEND_URL"]).path)
    return Infra(place, environment, scene, row.id, repository, state)


class Cloud:
    """What the account has of one stack, looked up by its tag."""

    def __init__(self, world: World, group: AnyRow) -> None:
        self._ec2, self._scaling = world.client("ec2"), world.client("autoscaling")
        self._stack, self._name = group.stack, group.name
        self._world = world
        self._before = len(world.machines())

    def templates(self) -> Sequence[str]:
        of_stack = {"Name": "tag:talkoot:stack", "Values": [self._stack]}
        found = self._ec2.describe_launch_templates(Filters=[of_stack])["LaunchTemplates"]
        return [one["LaunchTemplateId"] for one in found]

    def groups(self) -> Sequence[Any]:
        of_stack = {"Name": "tag:talkoot:stack", "Values": [self._stack]}
        return self._scaling.describe_auto_scaling_groups(Filters=[of_stack])["AutoScalingGroups"]

    def started(self) -> int:
        """Count the machines that ever ran."""
        events = self._world.machines(after=self._before)
        return sum(one["event"] == "started" for one in events)

    def empty(self) -> None:
        """Take it all away, as no stack does, and hang up."""
        for group in self.groups():
            self._scaling.delete_auto_scaling_group(
                AutoScalingGroupName=group["AutoScalingGroupName"], ForceDelete=True
            )
        for template in self.templates():
            self._ec2.delete_launch_template(LaunchTemplateId=template)
        self._ec2.close()
        self._scaling.close()
