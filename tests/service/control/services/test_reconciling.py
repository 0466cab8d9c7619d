"""What the cloud lists, what agents say and what our rows say become one truth; both databases."""

from __future__ import annotations

from typing import Any

import pytest

from control.services.machine_list import record_list
from control.services.machines import Place
from tests.factories import Scene
from tests.fleet_scene import Fleet


@pytest.fixture
def fleet(scene: Scene) -> Fleet:
    return Fleet(scene)


def test_a_machine_is_launching_until_its_agent_joins_and_ready_then(fleet: Fleet) -> None:
    group = fleet.group()
    fleet.want(group, 2)
    fleet.tick()
    assert fleet.states(group) == {"launching": 2}
    first, _ = fleet.here(group)
    worker = fleet.join(first.instance_id)
    fleet.tick()
    assert fleet.states(group) == {"launching": 1, "ready": 1}
    row = fleet.machine(first.instance_id)
    assert row.worker_id == worker.id
    assert row.joined_at == worker.joined_at
    assert row.zone.startswith(group.region)
    assert fleet.row(group).seen_count == 2
    assert fleet.row(group).seen_at == fleet.now


def test_a_machine_we_ended_is_gone_once_the_cloud_confirms(fleet: Fleet) -> None:
    fleet.cloud.faults.end_s = 45
    group = fleet.group()
    ids = fleet.running(group, 2)
    fleet.silent.add(ids[0])
    fleet.tick(25)
    states = fleet.states(group)
    assert states["ready"] == 1
    assert fleet.machine(ids[0]).state == "gone"
    assert fleet.machine(ids[0]).gone_at is not None
    assert [row.instance_id for row in fleet.here(group)] == [ids[1]]


def test_a_slow_end_is_terminating_and_sent_again_with_growing_pauses(fleet: Fleet) -> None:
    fleet.cloud.faults.end_s = 3600
    group = fleet.group(boot_grace_s=60)
    fleet.want(group, 1)
    fleet.tick(5)
    assert fleet.states(group) == {"terminating": 1}
    fleet.tick(20)  # ten minutes
    ends = fleet.cloud.calls.count("terminate")
    assert 3 <= ends <= 6
    capacity = fleet.cloud.capacity(group)
    assert capacity is not None
    assert capacity.desired == 0  # lowered once, however often it was sent


def test_a_cloud_that_cannot_end_a_machine_says_so_with_it_and_others_go_on(fleet: Fleet) -> None:
    group, other = fleet.group("a", boot_grace_s=60), fleet.group("b", boot_grace_s=60)
    fleet.want(group, 1)
    fleet.want(other, 1)
    fleet.tick(2)
    fleet.cloud.faults.broken_groups = {group.resource}
    fleet.tick(4)
    assert fleet.states(other) == {"gone": 1}
    [stuck] = fleet.here(group)
    assert stuck.state == "terminating"
    assert "could not be ended yet" in stuck.end_error
    fleet.cloud.faults.broken_groups = set()
    fleet.tick(6)
    assert fleet.states(group) == {"gone": 1}


# -- lists that are not true ----------------------------------------------------------------------
def test_an_empty_answer_where_forty_machines_were_drains_and_loses_nobody(fleet: Fleet) -> None:
    group = fleet.group(maximum=50)
    fleet.running(group, 40)
    fleet.cloud.faults.empty_lists = 20  # ten minutes of lies
    fleet.tick(20)
    assert fleet.states(group) == {"ready": 40}
    row = fleet.row(group)
    assert row.has_shrunk
    assert "lists 0 of 40 machines" in row.cloud_error
    assert "terminate" not in fleet.cloud.calls
    fleet.tick()
    assert fleet.states(group) == {"ready": 40}
    assert not fleet.row(group).has_shrunk
    assert fleet.row(group).cloud_error == ""


def test_one_empty_answer_before_anybody_joined_is_not_believed(fleet: Fleet) -> None:
    group = fleet.group()
    fleet.want(group, 4)
    fleet.tick()
    fleet.cloud.faults.empty_lists = 1
    fleet.tick()
    assert fleet.states(group) == {"launching": 4}
    assert fleet.row(group).has_shrunk
    fleet.tick()
    assert fleet.states(group) == {"launching": 4}
    assert not fleet.row(group).has_shrunk
    assert fleet.memory(group).boot_failures == 0


def test_machines_that_are_really_gone_are_believed_at_the_second_look(fleet: Fleet) -> None:
    group = fleet.group()
    ids = fleet.running(group, 3)
    for one in ids:
        fleet.cloud.vanish(one)
        fleet.silent.add(one)
    fleet.tick()
    assert fleet.states(group) == {"ready": 3}
    fleet.tick(2)
    assert fleet.states(group) == {"gone": 3}
    assert not fleet.row(group).has_shrunk


def test_a_machine_thought_gone_that_is_listed_again_is_back(fleet: Fleet) -> None:
    group = fleet.group()
    fleet.want(group, 4)
    fleet.tick()
    fleet.cloud.faults.empty_lists = 2
    fleet.tick(2)
    assert fleet.states(group) == {"gone": 4}
    fleet.tick()
    assert fleet.states(group) == {"launching": 4}


def test_a_young_machine_that_one_list_forgets_is_no_failure(fleet: Fleet) -> None:
    group = fleet.group()
    fleet.want(group, 3)
    fleet.tick()
    fleet.cloud.faults.is_stale = True
    fleet.want(group, 5)
    fleet.tick()
    assert fleet.states(group) == {"launching": 3}
    fleet.cloud.faults.is_stale = False
    fleet.tick()
    forgotten = fleet.here(group)[-1]
    fleet.cloud.faults.forgotten = {forgotten.instance_id}
    fleet.tick()
    assert fleet.states(group) == {"launching": 5}
    assert fleet.machine(forgotten.instance_id).missed_at == fleet.now
    fleet.cloud.faults.forgotten = set()
    fleet.tick()
    assert fleet.machine(forgotten.instance_id).missed_at is None
    assert fleet.memory(group).boot_failures == 0


def test_what_one_list_lacked_is_not_gone_by_an_empty_one(fleet: Fleet) -> None:
    group = fleet.group()
    fleet.want(group, 4)
    fleet.tick()
    lost = fleet.here(group)[0]
    fleet.cloud.vanish(lost.instance_id)
    fleet.tick()
    fleet.cloud.faults.empty_lists = 1
    fleet.tick()
    assert fleet.states(group) == {"launching": 4}
    fleet.tick()
    assert fleet.states(group) == {"launching": 3, "gone": 1}


def test_an_old_list_brings_nobody_back_to_life_for_long(fleet: Fleet) -> None:
    group = fleet.group(boot_grace_s=60)
    fleet.want(group, 1)
    fleet.tick()
    [row] = fleet.here(group)
    old = fleet.cloud.instances(group.region)
    fleet.tick(5)
    assert fleet.machine(row.instance_id).state == "gone"
    fleet.world.database.write(
        lambda connection: record_list(connection, Place("aws", group.region), old, fleet.now)
    )
    assert fleet.machine(row.instance_id).state == "terminating"
    fleet.tick(2)
    assert fleet.machine(row.instance_id).state == "gone"
    assert fleet.memory(group).boot_failures == 1


# -- silence --------------------------------------------------------------------------------------
def test_a_lost_machine_is_ended_after_its_lease_and_the_reason_says_so(fleet: Fleet) -> None:
    group = fleet.group()
    ids = fleet.running(group, 2)
    fleet.silent.add(ids[0])
    fleet.tick(20)  # the lease of 10 minutes is not over
    assert fleet.states(group) == {"ready": 2}
    fleet.tick(4)
    lost = fleet.machine(ids[0])
    assert lost.state in ("terminating", "gone")
    assert "silent for longer than 10 minutes" in lost.reason
    assert fleet.machine(ids[1]).state == "ready"


def test_a_lost_machine_that_still_holds_a_lease_is_not_ended(fleet: Fleet) -> None:
    group = fleet.group(environment="gpu")
    ids = fleet.running(group, 1)
    execution = fleet.scene.submit(environment="gpu")
    worker = fleet.worker(ids[0])
    spec = fleet.scene.claim(worker)
    assert spec is not None
    fleet.silent.add(ids[0])
    fleet.tick(40)  # the reaper, which would end the lease, does not run here
    assert fleet.machine(ids[0]).state == "lost"
    assert "terminate" not in fleet.cloud.calls
    fleet.reap()
    fleet.tick()
    assert fleet.machine(ids[0]).state in ("terminating", "gone")
    assert fleet.scene.row(execution.row.id).status == "queued"


def test_a_clock_that_jumps_an_hour_ahead_ends_nobody(fleet: Fleet) -> None:
    group = fleet.group(maximum=10)
    fleet.running(group, 3)
    fleet.want(group, 5)
    fleet.tick()
    fleet.scene.later(3600)  # nobody could beat meanwhile
    fleet.cloud.at(fleet.now)
    fleet.reconciler.tick(fleet.world, fleet.now)
    assert fleet.states(group) == {"ready": 3, "launching": 2}
    fleet.tick(3)
    assert fleet.states(group) == {"ready": 3, "launching": 2}


def test_a_clock_that_goes_back_an_hour_ends_nobody_and_goes_on(fleet: Fleet) -> None:
    group = fleet.group(maximum=10)
    fleet.running(group, 3)
    fleet.tick(seconds=-3600)
    fleet.tick(3)
    assert fleet.states(group) == {"ready": 3}
    assert fleet.row(group).seen_at == fleet.now


def test_a_network_that_is_lost_for_ten_minutes_ends_nobody(fleet: Fleet) -> None:
    group = fleet.group(boot_grace_s=900, maximum=10)
    ids = fleet.running(group, 3)
    fleet.want(group, 5)
    fleet.tick()
    read_at = fleet.row(group).seen_at
    fleet.cloud.faults.is_unreachable = True
    fleet.silent.update(row.instance_id for row in fleet.here(group))
    fleet.tick(20)
    row = fleet.row(group)
    assert row.seen_at == read_at  # old: the planner neither launches nor drains
    assert "does not answer" in row.cloud_error
    assert fleet.states(group) == {"ready": 3, "launching": 2}
    fleet.cloud.faults.is_unreachable = False
    fleet.tick(12)  # the pause of up to five minutes ends as well
    assert fleet.row(group).cloud_error == ""
    fleet.silent.clear()
    fleet.tick()
    assert {fleet.machine(one).state for one in ids} == {"ready"}
    assert "terminate" not in fleet.cloud.calls


# -- the loop itself -------------------------------------------------------------------------------
def test_no_connection_is_open_while_the_cloud_is_asked(fleet: Fleet) -> None:
    group = fleet.group(boot_grace_s=60)
    fleet.want(group, 2)
    pool: Any = fleet.world.database.engine.pool
    seen: list[int] = []
    fleet.cloud.watch = lambda: seen.append(pool.checkedout())
    fleet.tick(6)
    assert len(seen) > 10
    assert set(seen) == {0}


def test_steps_of_an_old_state_are_gone_through_again_after_a_crash(fleet: Fleet) -> None:
    group = fleet.group(boot_grace_s=60)
    fleet.want(group, 1)
    fleet.tick(2)
    fleet.cloud.faults.broken_groups = {group.resource}  # killed between commit and call
    fleet.tick(3)
    again = Fleet(fleet.scene, fleet.cloud)  # another process
    again.cloud.faults.broken_groups = set()
    again.tick(4)
    assert again.states(group) == {"gone": 1}
