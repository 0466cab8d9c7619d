"""Machines that join by their cloud's word, and all who must not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from control.domain.errors import Conflict, Forbidden, TemporaryError, Unauthenticated
from control.domain.scaling.state import MachineState
from control.services import attempts, workers
from tests.factories import NOW, Scene
from tests.service.control.services.machine_scene import Cloud, add_machine, make_cloud


@pytest.fixture
def cloud(scene: Scene, tmp_path: Path) -> Cloud:
    return make_cloud(scene, tmp_path)


def test_a_machine_becomes_a_worker_of_its_groups_environment(cloud: Cloud) -> None:
    joined = cloud.join()
    assert joined.environment == "gpu-small"
    worker = workers.authenticate(cloud.scene.world, joined.agent_token)
    assert (worker.instance_id, worker.slots) == ("i-1", 3)
    machine = cloud.machine()
    assert (machine.worker_id, machine.state) == (joined.worker_id, MachineState.READY)
    assert machine.joined_at == cloud.scene.now


def test_a_machine_that_the_cloud_does_not_list_yet_may_come_again(cloud: Cloud) -> None:
    with pytest.raises(TemporaryError, match="not in the list of aws machines yet"):
        cloud.join(instance_id="i-2")
    add_machine(cloud.scene, "i-2", "gpu")
    assert cloud.join(instance_id="i-2")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"group": "cpu"}, "not a machine of group cpu"),
        ({"group": "nobody"}, "no such worker group"),
        ({"group": "london"}, "group london in eu-west-2"),
        ({"imageId": "ami-mine"}, "image ami-mine"),
        ({"pendingTime": "2030-01-02T05:00:00Z"}, "from the future"),
        ({"pendingTime": "2030-01-01T03:00:00Z"}, "another start of i-1"),
    ],
)
def test_what_does_not_fit_the_group_is_refused(
    cloud: Cloud, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(Forbidden, match=words):
        cloud.join(**given)
    assert cloud.machine().worker_id is None


def test_a_machine_of_no_group_is_refused(cloud: Cloud) -> None:
    add_machine(cloud.scene, "i-9", None)
    with pytest.raises(Forbidden, match="not a machine of group gpu"):
        cloud.join(instance_id="i-9")


def test_a_changed_document_is_refused(cloud: Cloud) -> None:
    message = cloud.message()
    told = dict(message.instance_identity or {})
    told["document"] = told["document"].replace("m5.large", "m5.metal")
    with pytest.raises(Unauthenticated, match="has not signed"):
        workers.join(cloud.scene.world, replace(message, instance_identity=told), NOW)


def test_a_cloud_that_was_not_set_up_is_named(cloud: Cloud) -> None:
    world = replace(cloud.scene.world, identities={})
    with pytest.raises(Unauthenticated, match=r"docs/settings\.md"):
        workers.join(world, cloud.message(), NOW)


@pytest.mark.parametrize(
    "state", [MachineState.TERMINATING, MachineState.GONE, MachineState.FAILED]
)
def test_a_machine_that_is_going_may_not_join_any_more(cloud: Cloud, state: str) -> None:
    cloud.change(state=state)
    with pytest.raises(Forbidden, match=f"is {state}"):
        cloud.join()


def test_a_draining_machine_that_comes_back_stays_draining(cloud: Cloud) -> None:
    cloud.change(state=MachineState.DRAINING)
    cloud.join()
    assert cloud.machine().state == MachineState.DRAINING


def test_a_document_cannot_be_used_beside_a_living_worker(cloud: Cloud) -> None:
    first = cloud.join()
    with pytest.raises(Conflict, match="its worker is alive"):
        cloud.join()
    assert cloud.machine().worker_id == first.worker_id
    assert cloud.worker(first).status == "live"


def test_a_machine_that_lost_its_disk_takes_the_place_of_its_silent_worker(cloud: Cloud) -> None:
    first = cloud.join()
    worker = workers.authenticate(cloud.scene.world, first.agent_token)
    cloud.scene.submit()
    spec = cloud.scene.claim(worker)
    assert spec is not None
    cloud.scene.later(61)
    second = cloud.join()
    assert cloud.worker(first).status == "left"
    assert cloud.machine().worker_id == second.worker_id
    held = attempts.find(cloud.scene.world, spec.claim_token)
    assert held.lease_until == cloud.scene.now, "nothing runs there any more: it may run elsewhere"


def test_a_worker_that_left_makes_room_at_once(cloud: Cloud) -> None:
    first = cloud.join()
    worker = workers.authenticate(cloud.scene.world, first.agent_token)
    workers.leave(cloud.scene.world, worker, cloud.scene.later(1))
    assert cloud.join().worker_id != first.worker_id


def test_a_restarted_machine_proves_its_newest_start(cloud: Cloud) -> None:
    cloud.change(launched_at=NOW + timedelta(hours=2))
    cloud.scene.later(7200)
    with pytest.raises(Forbidden, match="another start"):
        cloud.join()
    assert cloud.join(pendingTime="2030-01-02T05:04:05Z")
