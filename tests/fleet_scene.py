"""Groups with a memory cloud behind them: time passes, agents beat, the cloud is read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from control.database.rows import AnyRow
from control.database.tables.environments import environments as environment_rows
from control.database.tables.environments import workers as worker_rows
from control.database.tables.worker_groups import machines, worker_groups
from control.domain.cloud_ports import GroupRef
from control.domain.scaling.memory import from_json
from control.domain.scaling.state import GroupMemory
from control.loops.reconcile import Reconciler
from control.plugins.clouds.memory import MemoryCloud
from control.services import healing
from control.services.world import World
from tests.factories import Scene, join
from tests.scaling_scenes import add_group, set_group, write

EVERY_S = 30


@dataclass
class Fleet:
    """A scene with a cloud; `tick` lets 30 s pass for everybody."""

    scene: Scene
    cloud: MemoryCloud = field(default_factory=lambda: MemoryCloud("tests"))
    reconciler: Reconciler = field(default_factory=lambda: Reconciler(dice=lambda: 0.5))
    silent: set[str] = field(default_factory=set)  # instance ids whose agents do not beat

    def __post_init__(self) -> None:
        self.scene.world = replace(self.scene.world, clouds=self._named)
        self.cloud.at(self.scene.now)

    @property
    def world(self) -> World:
        return self.scene.world

    @property
    def now(self) -> datetime:
        return self.scene.now

    def _named(self, name: str) -> MemoryCloud:
        assert name == "aws"
        return self.cloud

    def group(self, name: str = "gpu", **given: Any) -> GroupRef:
        """Add a group to the database and to the cloud, as `up` would."""
        least = int(given.pop("cloud_minimum", 0))
        base = {"base_stack": f"prod-aws-{given.pop('region')}-base"} if "region" in given else {}
        row = add_group(self.scene, name, **(given | base))
        ref = GroupRef(row.name, row.region, f"asg-{row.name}")
        set_group(self.world, row.id, resource=ref.resource, seen_at=None)
        self.cloud.add_group(ref, minimum=least, maximum=100)
        return ref

    def want(self, ref: GroupRef, count: int) -> None:
        """Do what a decision and its `up` do."""
        set_group(self.world, self.row(ref).id, wanted=count, applied=count)
        self.cloud.set_desired(ref, count)

    def join(self, instance_id: str) -> AnyRow:
        """Let a machine's agent join."""
        with self.world.database.read() as connection:
            slug = connection.execute(
                select(environment_rows.c.slug)
                .join(worker_groups, worker_groups.c.environment_id == environment_rows.c.id)
                .join(machines, machines.c.group_id == worker_groups.c.id)
                .where(machines.c.instance_id == instance_id)
            ).scalar_one()
        worker = join(self.world, slug, instance_id, self.now)
        mine = worker_rows.c.id == worker.id
        write(self.world, update(worker_rows).where(mine).values(instance_id=instance_id))
        return worker

    def worker(self, instance_id: str) -> AnyRow:
        """Read the worker that a machine's agent became."""
        with self.world.database.read() as connection:
            return connection.execute(
                select(worker_rows).where(worker_rows.c.instance_id == instance_id)
            ).one()

    def reap(self) -> None:
        """Let the reaper run."""
        healing.reap(self.world, self.now)

    def running(self, ref: GroupRef, count: int) -> list[str]:
        """Let so many machines start and join; their instance ids."""
        self.want(ref, count)
        self.tick()
        ids = [row.instance_id for row in self.here(ref)]
        for instance_id in ids:
            self.join(instance_id)
        self.tick()
        return ids

    def tick(self, times: int = 1, *, seconds: float = EVERY_S) -> int:
        """Let time pass, agents beat, and the cloud be read; how many places went well."""
        went_well = 0
        for _ in range(times):
            self.cloud.at(self.scene.later(seconds))
            self.beat()
            went_well = self.reconciler.tick(self.world, self.now)
        return went_well

    def beat(self) -> None:
        """Let every agent whose machine runs be heard."""
        silent = worker_rows.c.instance_id.in_(self.silent)
        live = worker_rows.c.left_at.is_(None) & worker_rows.c.instance_id.is_not(None) & ~silent
        write(self.world, update(worker_rows).where(live).values(last_seen_at=self.now))

    def row(self, ref: GroupRef) -> AnyRow:
        """Read the group's row."""
        with self.world.database.read() as connection:
            return connection.execute(
                select(worker_groups).where(worker_groups.c.name == ref.name)
            ).one()

    def memory(self, ref: GroupRef) -> GroupMemory:
        """Read what the planner remembers of the group."""
        return from_json(self.row(ref).memory)

    def machine(self, instance_id: str) -> AnyRow:
        """Read a machine's row."""
        with self.world.database.read() as connection:
            return connection.execute(
                select(machines).where(machines.c.instance_id == instance_id)
            ).one()

    def all(self) -> list[AnyRow]:
        """Read every machine there ever was, oldest first."""
        with self.world.database.read() as connection:
            order = machines.c.found_at, machines.c.instance_id
            return list(connection.execute(select(machines).order_by(*order)).all())

    def here(self, ref: GroupRef) -> list[AnyRow]:
        """Read the group's machines that are not gone."""
        group_id = self.row(ref).id
        return [row for row in self.all() if row.group_id == group_id and row.gone_at is None]

    def states(self, ref: GroupRef) -> dict[str, int]:
        """Count the group's machines by state, the gone ones too."""
        group_id = self.row(ref).id
        found: dict[str, int] = {}
        for row in self.all():
            if row.group_id == group_id:
                found[row.state] = found.get(row.state, 0) + 1
        return found
