"""A process that acts on infrastructure, over the memory cloud and the memory engine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from control.database.rows import AnyRow
from control.domain.cloud_ports import GroupRef, StackOperation, StackResult
from control.loops.acting import Acting
from control.loops.resize import carry_out
from control.plugins.clouds.memory import MemoryCloud
from control.plugins.engines.memory import MemoryEngine
from control.services.resizing import Due
from tests.factories import NOW, Scene
from tests.scaling_scenes import add_group, group_of, set_group


class CloudEngine(MemoryEngine):
    """A memory engine whose `up` makes the memory cloud's group and gives it its size."""

    def __init__(self, cloud: MemoryCloud) -> None:
        super().__init__()
        self.cloud = cloud
        self.extra: dict[str, str] = {}  # config keys that misbehave

    def run(self, operation: StackOperation, **given: Any) -> StackResult:
        asked = replace(operation, config={**operation.config, **self.extra})
        result = super().run(asked, **given)
        if result.outcome == "succeeded":
            self._give(operation)
        return result

    def _give(self, operation: StackOperation) -> None:
        config = {**operation.unless_in_git, **operation.config}
        ref = GroupRef(config["group"], config["aws:region"], f"{config['group']}-asg")
        if self.cloud.capacity(ref) is None:
            self.cloud.add_group(ref, minimum=int(config["min"]), maximum=int(config["max"]))
        self.cloud.set_desired(ref, int(config["size"]))
        self.stacks[operation.stack]["resource"] = ref.resource


@dataclass
class Act:
    """One group, its cloud and engine, and a clock that the test moves."""

    scene: Scene
    cloud: MemoryCloud
    engine: CloudEngine
    group_id: str
    acting: Acting = field(init=False)

    def __post_init__(self) -> None:
        world = replace(self.scene.world, clouds=lambda _name: self.cloud)
        self.acting = Acting(world, self.engine, clock=lambda: self.scene.now, dice=lambda: 0.0)

    @property
    def group(self) -> AnyRow:
        """The group's row as it is."""
        return group_of(self.scene.world, self.group_id)

    @property
    def ref(self) -> GroupRef:
        """The group as its cloud knows it, once it was made."""
        return GroupRef(self.group.name, self.group.region, self.group.resource)

    @property
    def desired(self) -> int:
        """How many machines the cloud's group has been told to have."""
        found = self.cloud.capacity(self.ref)
        return found.desired if found is not None else 0

    def want(self, size: int, at: datetime | None = None) -> None:
        """Record a decision's size."""
        set_group(self.scene.world, self.group_id, wanted=size, wanted_at=at or self.scene.now)

    def carry_out(self) -> StackResult | None:
        """Do what is due for the group."""
        return carry_out(self.acting, Due(self.group_id, self.group.stack))

    def other_process(self) -> Acting:
        """Another process that acts on the same infrastructure."""
        return replace(self.acting, holder="elsewhere:1:ffff", host="elsewhere")


def make_act(scene: Scene) -> Act:
    """Add a group that no stack was made for."""
    cloud = MemoryCloud.from_url("memory:", options={})
    cloud.at(NOW)
    return Act(scene, cloud, CloudEngine(cloud), add_group(scene).id)
