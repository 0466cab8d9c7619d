"""A scene with a worker group on AWS and a machine that has just started."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from agent import wire
from control.database.rows import AnyRow
from control.database.tables.environments import workers as worker_rows
from control.database.tables.worker_groups import machines, worker_groups
from control.domain.scaling.state import MachineState
from control.plugins.clouds.aws_identity import AwsIdentity
from control.services import workers
from tests.engines.aws.identity_documents import document, signer
from tests.factories import NOW, Scene

IMAGE = "ami-0123456789abcdef0"


@dataclass
class Cloud:
    """A scene with the group `gpu` and one machine of it that has just started."""

    scene: Scene

    def message(self, instance_id: str = "i-1", group: str = "gpu", **changes: Any) -> wire.Join:
        text = document(instance_id, NOW, **changes)
        identity = {
            "cloud": "aws",
            "group": group,
            "document": text,
            "signature": signer().sign(text),
        }
        return wire.Join("", "ip-10-0-0-7", "docker", "1", instance_identity=identity)

    def join(self, **given: Any) -> wire.Joined:
        return workers.join(self.scene.world, self.message(**given), self.scene.now)

    def machine(self) -> AnyRow:
        with self.scene.world.database.read() as connection:
            return connection.execute(select(machines).where(machines.c.instance_id == "i-1")).one()

    def change(self, **values: Any) -> None:
        self.scene.world.database.write(
            lambda connection: connection.execute(update(machines).values(**values)) and None
        )

    def worker(self, joined: wire.Joined) -> AnyRow:
        with self.scene.world.database.read() as connection:
            return connection.execute(
                select(worker_rows).where(worker_rows.c.id == joined.worker_id)
            ).one()


def add_group(scene: Scene, name: str, region: str) -> None:
    values = {
        "id": name,
        "name": name,
        "environment_id": scene.worker.environment_id,
        "cloud": "aws",
        "region": region,
        "stack": f"prod-aws-{region}-wg-{name}",
        "instance_type": "m5.large",
        "market": "spot",
        "inputs": {"image": IMAGE},
        "slots": 3,
        "min": 0,
        "max": 5,
        "ctime": NOW,
        "mtime": NOW,
    }
    scene.world.database.write(
        lambda connection: connection.execute(insert(worker_groups).values(**values)) and None
    )


def add_machine(scene: Scene, instance_id: str, group: str | None) -> None:
    values = {
        "id": instance_id,
        "group_id": group,
        "cloud": "aws",
        "region": "eu-west-1",
        "instance_id": instance_id,
        "state": MachineState.LAUNCHING,
        "launched_at": NOW,
        "found_at": NOW,
        "seen_at": NOW,
    }
    scene.world.database.write(
        lambda connection: connection.execute(insert(machines).values(**values)) and None
    )


def make_cloud(scene: Scene, folder: Path) -> Cloud:
    signer().write_certificate(folder, "eu-west-1", "eu-west-2")
    check = AwsIdentity.from_folder(folder, accounts=frozenset())
    scene.world = replace(scene.world, identities={"aws": check})
    for name, region in (("gpu", "eu-west-1"), ("cpu", "eu-west-1"), ("london", "eu-west-2")):
        add_group(scene, name, region)
    add_machine(scene, "i-1", "gpu")
    return Cloud(scene)
