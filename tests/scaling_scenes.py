"""Worker groups with machines, as the cloud's list and the agents would write their rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from control.database.ids import new_id
from control.database.rows import AnyRow
from control.database.tables.environments import workers as worker_rows
from control.database.tables.worker_groups import machines, worker_groups
from control.domain.scaling.state import MachineState
from control.domain.worker_groups import NewGroup
from control.services import environments
from control.services import worker_groups as groups
from control.services.world import World
from tests.factories import Scene, join

BASE = "prod-aws-eu-west-1-base"


def new_group(name: str = "gpu", **given: Any) -> NewGroup:
    """Ask for a group that is right, but for what is given."""
    usual: dict[str, Any] = {"base_stack": BASE, "instance_type": "g5.xlarge", "image": "ami-1"}
    return NewGroup(name, **(usual | given))


def add_group(scene: Scene, name: str = "gpu", **given: Any) -> AnyRow:
    """Add a group whose cloud was read just now."""
    row = groups.add(scene.world, None, new_group(name, **given), scene.now)[0]
    set_group(scene.world, row.id, seen_at=scene.now)
    return row


def set_group(world: World, group_id: str, **values: Any) -> None:
    """Change a group's row."""
    write(world, update(worker_groups).where(worker_groups.c.id == group_id).values(**values))


def add_machine(scene: Scene, group: AnyRow, name: str, **given: Any) -> str:
    """Let a machine of the group appear in the cloud's list; its id."""
    machine_id = new_id(scene.now)
    usual: dict[str, Any] = {
        "id": machine_id,
        "group_id": group.id,
        "cloud": group.cloud,
        "region": group.region,
        "instance_id": f"i-{name}",
        "state": MachineState.LAUNCHING,
        "launched_at": scene.now,
        "found_at": scene.now,
        "seen_at": scene.now,
    }
    write(scene.world, insert(machines).values(**(usual | given)))
    return machine_id


def add_ready(scene: Scene, group: AnyRow, name: str, **given: Any) -> tuple[str, AnyRow]:
    """Let a machine appear and its agent join: the machine's id and the worker."""
    with scene.world.database.read() as connection:
        environment = connection.execute(
            select(environments.environments).where(
                environments.environments.c.id == group.environment_id
            )
        ).one()
    worker = join(scene.world, environment.slug, name, scene.now)
    ready = {"state": MachineState.READY, "worker_id": worker.id, "joined_at": scene.now}
    return add_machine(scene, group, name, **(ready | given)), worker


def see_all(scene: Scene, now: datetime) -> None:
    """Let every worker beat and the cloud's list be read now."""
    write(scene.world, update(worker_rows).values(last_seen_at=now))
    write(scene.world, update(worker_groups).values(seen_at=now))


def machine_of(world: World, machine_id: str) -> AnyRow:
    """Read a machine's row."""
    with world.database.read() as connection:
        return connection.execute(select(machines).where(machines.c.id == machine_id)).one()


def worker_of(world: World, worker_id: str) -> AnyRow:
    """Read a worker's row."""
    with world.database.read() as connection:
        return connection.execute(select(worker_rows).where(worker_rows.c.id == worker_id)).one()


def group_of(world: World, group_id: str) -> AnyRow:
    """Read a group's row."""
    with world.database.read() as connection:
        return connection.execute(select(worker_groups).where(worker_groups.c.id == group_id)).one()


def write(world: World, statement: Any) -> None:
    """Run one statement."""
    world.database.write(lambda connection: connection.execute(statement) and None)


def seconds(number: float) -> timedelta:
    """So many seconds."""
    return timedelta(seconds=number)
