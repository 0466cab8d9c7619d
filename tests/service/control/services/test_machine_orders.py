"""What machines of clouds hear with the answer to a heartbeat."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from agent import wire
from control.database.rows import AnyRow
from control.database.tables.worker_groups import agent_releases, release_channels, worker_groups
from control.domain.scaling.state import MachineState
from control.services import attempts, workers
from tests.factories import Scene
from tests.service.control.services.machine_scene import Cloud, make_cloud


@pytest.fixture
def cloud(scene: Scene, tmp_path: Path) -> Cloud:
    return make_cloud(scene, tmp_path)


@pytest.fixture
def worker(cloud: Cloud) -> AnyRow:
    return workers.authenticate(cloud.scene.world, cloud.join().agent_token)


def beat(cloud: Cloud, worker: AnyRow, reclaim_at: str = "") -> wire.Orders:
    return attempts.beat(
        cloud.scene.world, worker, wire.Heartbeat(reclaim_at=reclaim_at), cloud.scene.now
    )


def release(cloud: Cloud, version: str) -> None:
    values = {
        "version": version,
        "protocol": 1,
        "key": "releases/x",
        "sha256": "0" * 64,
        "size_bytes": 1,
        "manifest": "{}",
        "signature": "",
        "ctime": cloud.scene.now,
    }
    cloud.scene.world.database.write(
        lambda connection: connection.execute(insert(agent_releases).values(**values)) and None
    )


def test_every_answer_extends_the_keep_alive(cloud: Cloud, worker: AnyRow) -> None:
    assert beat(cloud, worker).keep_alive_s == 1800


def test_a_machine_of_nobodys_cloud_gets_none(scene: Scene) -> None:
    orders = attempts.beat(scene.world, scene.worker, wire.Heartbeat(), scene.now)
    assert (orders.keep_alive_s, orders.wanted_version) == (None, "")


def test_a_machine_whose_end_was_sent_ends_itself_when_it_lives_on(
    cloud: Cloud, worker: AnyRow
) -> None:
    cloud.change(state=MachineState.TERMINATING, end_sent_at=cloud.scene.now)
    assert beat(cloud, worker).keep_alive_s == 600
    cloud.scene.later(599)
    assert beat(cloud, worker).keep_alive_s == 1
    cloud.scene.later(60)
    assert beat(cloud, worker).keep_alive_s == 0


def test_a_machine_that_a_list_lacks_is_not_told_to_end(cloud: Cloud, worker: AnyRow) -> None:
    cloud.change(state=MachineState.GONE, gone_at=cloud.scene.now)
    assert beat(cloud, worker).keep_alive_s == 1800


def test_the_groups_channel_or_its_pin_says_which_release_is_wanted(
    cloud: Cloud, worker: AnyRow
) -> None:
    assert beat(cloud, worker).wanted_version == ""
    release(cloud, "0.3.0")
    channel = {"name": "stable", "version": "0.3.0", "mtime": cloud.scene.now}
    cloud.scene.world.database.write(
        lambda connection: connection.execute(insert(release_channels).values(**channel)) and None
    )
    assert beat(cloud, worker).wanted_version == "0.3.0"
    cloud.scene.world.database.write(
        lambda connection: (
            connection.execute(update(worker_groups).values(agent_version="0.2.0")) and None
        )
    )
    assert beat(cloud, worker).wanted_version == "0.2.0"


def test_a_reclaim_that_the_machine_heard_of_is_kept_once(cloud: Cloud, worker: AnyRow) -> None:
    deadline = (cloud.scene.now + timedelta(minutes=2)).replace(microsecond=0)
    beat(cloud, worker, reclaim_at=deadline.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert cloud.machine().reclaim_at == deadline
    beat(cloud, worker, reclaim_at="2030-01-02T03:50:00Z")
    assert cloud.machine().reclaim_at == deadline


def test_a_reclaim_at_a_strange_time_counts_as_now(cloud: Cloud, worker: AnyRow) -> None:
    beat(cloud, worker, reclaim_at="soon")
    assert cloud.machine().reclaim_at == cloud.scene.now
