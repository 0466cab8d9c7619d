"""What clouds report besides their list: orphans, reclaims, refusals; both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from control.domain.cloud_ports import FailureClass
from control.services import group_views
from tests.factories import Scene
from tests.fleet_scene import Fleet


@pytest.fixture
def fleet(scene: Scene) -> Fleet:
    return Fleet(scene)


# -- orphans --------------------------------------------------------------------------------------
def test_an_orphan_is_reported_and_ended_after_ten_minutes_of_looking(fleet: Fleet) -> None:
    group = fleet.group()
    stray = fleet.cloud.launch_stray(group.region, "deleted-group")
    fleet.tick()
    row = fleet.machine(stray)
    assert row.group_id is None
    assert row.reason == "Nobody here knows its group 'deleted-group'."
    [said] = group_views.trouble(fleet.world, fleet.row(group), fleet.now)
    assert said.startswith(f"Orphan {stray} in {group.region}, found ")
    assert said.endswith(row.reason)
    fleet.tick(19)
    assert fleet.machine(stray).end_sent_at is None
    fleet.tick(3)
    assert fleet.machine(stray).state == "gone"


def test_an_orphan_that_goes_by_itself_is_gone_at_the_second_look(fleet: Fleet) -> None:
    group = fleet.group()
    stray = fleet.cloud.launch_stray(group.region, "deleted-group")
    fleet.tick()
    fleet.cloud.vanish(stray)
    fleet.tick()
    assert fleet.machine(stray).gone_at is None
    fleet.tick()
    assert fleet.machine(stray).state == "gone"


def test_an_orphan_that_was_not_watched_all_the_time_is_watched_anew(fleet: Fleet) -> None:
    group = fleet.group()
    stray = fleet.cloud.launch_stray(group.region, "deleted-group")
    fleet.tick()
    fleet.tick(seconds=3600)  # the service was down, or the clock jumped
    fleet.tick(5)
    assert fleet.machine(stray).end_sent_at is None
    fleet.tick(20)
    assert fleet.machine(stray).state == "gone"


def test_an_orphan_whose_group_becomes_known_is_adopted(fleet: Fleet) -> None:
    group = fleet.group()
    stray = fleet.cloud.launch_stray(group.region, "young")
    fleet.tick()
    young = fleet.group("young")
    fleet.tick(25)
    assert fleet.machine(stray).group_id == fleet.row(young).id
    assert fleet.machine(stray).state == "launching"
    assert fleet.machine(stray).reason == ""


# -- reclaims -------------------------------------------------------------------------------------
def test_a_reclaimed_machine_drains_and_counts_as_no_failure(fleet: Fleet) -> None:
    group = fleet.group()
    ids = fleet.running(group, 3)
    deadline = fleet.now + timedelta(minutes=2)
    fleet.cloud.reclaim(ids[0], deadline)
    fleet.tick()
    row, worker = fleet.machine(ids[0]), fleet.worker(ids[0])
    assert (row.state, row.reclaim_at) == ("draining", deadline)
    assert worker.drain_requested_at is not None
    assert worker.drain_epoch == row.drain_epoch == 1
    memory = fleet.memory(group)
    assert memory.reclaimed_at == (fleet.now,)
    assert memory.boot_failures == 0
    assert fleet.cloud.notices(group.region) == []
    fleet.cloud.vanish(ids[0])
    fleet.silent.add(ids[0])
    fleet.tick()
    assert fleet.machine(ids[0]).state == "gone"
    assert not fleet.row(group).has_shrunk


def test_a_notice_is_kept_until_it_is_recorded(fleet: Fleet) -> None:
    group = fleet.group()
    [one] = fleet.running(group, 1)
    fleet.cloud.reclaim(one, fleet.now + timedelta(minutes=2))
    fleet.cloud.faults.is_unreachable = True
    fleet.tick()
    assert fleet.machine(one).reclaim_at is None
    fleet.cloud.faults.is_unreachable = False
    fleet.tick(2)
    assert fleet.machine(one).reclaim_at is not None


def test_what_a_reclaimed_machine_s_silent_agent_holds_is_queued_again_at_once(
    fleet: Fleet,
) -> None:
    group = fleet.group(environment="gpu")
    [one] = fleet.running(group, 1)
    execution = fleet.scene.submit(environment="gpu")
    assert fleet.scene.claim(fleet.worker(one)) is not None
    fleet.silent.add(one)
    fleet.tick(3)
    fleet.cloud.reclaim(one, fleet.now + timedelta(minutes=2))
    fleet.reap()
    assert fleet.scene.row(execution.row.id).status == "started"
    fleet.tick()
    fleet.reap()
    assert fleet.scene.row(execution.row.id).status == "queued"


# -- what the cloud refuses -----------------------------------------------------------------------
def test_a_capacity_error_in_one_zone_is_no_failure_while_another_gives(fleet: Fleet) -> None:
    group = fleet.group()
    fleet.cloud.faults.refused = {"a": (FailureClass.CAPACITY, "no g5.xlarge in zone a")}
    fleet.tick()
    fleet.want(group, 3)  # zone a is asked and refuses; the next round has other zones
    failed_at = fleet.now
    fleet.tick(4)
    assert len(fleet.here(group)) == 3
    assert fleet.row(group).failures_read_at == failed_at
    memory = fleet.memory(group)
    assert memory.backoff_until is None or memory.backoff_until < failed_at + timedelta(seconds=30)
    assert memory.refused_at is None


def test_a_group_that_stays_short_backs_off_although_one_zone_gave(fleet: Fleet) -> None:
    group = fleet.group()
    fleet.cloud.faults.refused = {"a": (FailureClass.CAPACITY, "none in a")}
    fleet.tick()
    fleet.want(group, 3)
    fleet.cloud.faults.refused = {"": (FailureClass.CAPACITY, "none anywhere")}
    fleet.tick(4)
    assert len(fleet.here(group)) == 2
    assert fleet.memory(group).backoff_message == "none anywhere"


def test_a_capacity_error_in_every_zone_backs_off_in_the_cloud_s_words(fleet: Fleet) -> None:
    group = fleet.group()
    fleet.cloud.faults.refused = {"": (FailureClass.CAPACITY, "no g5.xlarge anywhere")}
    fleet.want(group, 3)
    fleet.tick()
    memory = fleet.memory(group)
    assert memory.backoff_message == "no g5.xlarge anywhere"
    assert memory.backoff_until is not None
    assert memory.backoff_until > fleet.now


def test_a_quota_is_backed_off_from_for_half_an_hour(fleet: Fleet) -> None:
    group = fleet.group()
    words = "You have requested more vCPU capacity than your current vCPU limit of 32 allows"
    fleet.cloud.faults.refused = {"": (FailureClass.QUOTA, words)}
    fleet.want(group, 1)
    fleet.tick()
    memory = fleet.memory(group)
    assert (memory.backoff_class, memory.backoff_message) == ("quota", words)
    assert memory.backoff_until is not None
    assert memory.backoff_until - fleet.now > timedelta(minutes=25)


def test_wrong_credentials_are_the_groups_reason_and_change_nothing(fleet: Fleet) -> None:
    group = fleet.group()
    fleet.running(group, 2)
    read_at = fleet.row(group).seen_at
    fleet.cloud.faults.has_wrong_credentials = True
    assert fleet.tick() == 0
    row = fleet.row(group)
    assert "credentials" in row.cloud_error
    assert row.seen_at == read_at
    assert fleet.states(group) == {"ready": 2}


def test_a_region_that_does_not_answer_holds_up_no_other(fleet: Fleet) -> None:
    near, far = fleet.group("near"), fleet.group("far", region="us-east-1")
    fleet.want(near, 1)
    fleet.want(far, 1)
    fleet.cloud.faults.broken_regions = {"us-east-1"}
    assert fleet.tick() == 1
    assert fleet.states(near) == {"launching": 1}
    assert fleet.row(near).cloud_error == ""
    assert "us-east-1" in fleet.row(far).cloud_error


def test_a_place_that_fails_is_asked_less_and_less_often(fleet: Fleet) -> None:
    fleet.group()
    fleet.cloud.faults.is_unreachable = True
    fleet.tick(40)  # twenty minutes
    assert 5 <= fleet.cloud.calls.count("instances") <= 12


def test_a_throttled_call_is_no_failure_of_the_group(fleet: Fleet) -> None:
    group = fleet.group()
    fleet.running(group, 1)
    fleet.cloud.faults.throttled_calls = 1
    fleet.tick()
    assert "less often" in fleet.row(group).cloud_error
    fleet.tick()
    assert fleet.row(group).cloud_error == ""
    assert fleet.memory(group).backoff_until is None


def test_failures_are_told_once(fleet: Fleet) -> None:
    group = fleet.group()
    fleet.cloud.faults.refused = {"": (FailureClass.CAPACITY, "none left")}
    fleet.want(group, 1)
    fleet.tick()
    first = fleet.row(group).failures_read_at
    assert first == fleet.now
    fleet.want(group, 0)
    fleet.tick()
    assert fleet.row(group).failures_read_at == first
