"""What a dead process left is cleaned up once, by whoever may, and people see what was done."""

from __future__ import annotations

from datetime import timedelta

import pytest

from control.domain.cloud_ports import GroupRef
from control.loops import recover
from control.services import resizing, stack_leases, stack_runs
from control.services.stack_leases import Lease
from control.services.stack_runs import NewRun
from tests.acting_scenes import Act, make_act
from tests.factories import Scene

GONE_PID = (1 << 22) + 1  # above every pid of Linux


@pytest.fixture
def act(scene: Scene) -> Act:
    return make_act(scene)


def left_by(act: Act, holder: str, host: str) -> tuple[Lease, str]:
    """Let a process begin a run and die."""
    world, stack = act.scene.world, act.group.stack
    lease = stack_leases.take(world, stack, holder, act.scene.now, host=host)
    assert lease is not None
    run_id = stack_runs.begin(world, lease, NewRun("up", "0", act.group_id), act.scene.now)
    assert stack_leases.attach(world, lease, 4711)
    return lease, run_id


def test_a_dead_process_of_this_machine_need_not_lapse(act: Act) -> None:
    host = act.acting.host
    _lease, run_id = left_by(act, f"{host}:{GONE_PID}:abcd", host)
    assert recover.tick(act.acting) == 1
    assert act.engine.recovered == [act.group.stack]
    run = stack_runs.find(act.scene.world, run_id)
    assert run.status == "lost"
    assert run.error.startswith("Its process died.")
    assert recover.tick(act.acting) == 0
    act.want(1)
    act.carry_out()
    assert act.group.applied == 1


def test_what_the_dead_run_began_is_looked_for_in_the_groups_cloud(act: Act) -> None:
    host = act.acting.host
    left_by(act, f"{host}:{GONE_PID}:abcd", host)
    act.cloud.add_group(GroupRef("gpu", act.group.region, "asg-gpu"))
    began = [("group", "asg-gpu"), ("group", "asg-other"), ("template", "asg-gpu")]
    act.engine.pending[act.group.stack] = began
    assert recover.tick(act.acting) == 1
    assert act.engine.found == ["asg-gpu", "", None]


def test_a_cloud_that_can_not_be_asked_is_waited_for(act: Act) -> None:
    host = act.acting.host
    _lease, run_id = left_by(act, f"{host}:{GONE_PID}:abcd", host)
    act.engine.pending[act.group.stack] = [("group", "asg-gpu")]
    act.cloud.faults.has_wrong_credentials = True
    assert recover.tick(act.acting) == 0
    assert "credentials" in act.group.hold
    assert stack_runs.find(act.scene.world, run_id).status == "running"
    assert act.engine.recovered == []


def test_a_living_process_is_left_alone(act: Act) -> None:
    left_by(act, act.acting.holder, act.acting.host)
    assert recover.tick(act.acting) == 0
    assert act.engine.recovered == []


def test_another_machines_lease_must_lapse_first(act: Act) -> None:
    left_by(act, f"elsewhere:{GONE_PID}:abcd", "elsewhere")
    assert recover.tick(act.acting) == 0
    act.scene.later(61)
    assert recover.tick(act.acting) == 1


def test_a_lock_of_another_machine_is_an_alert_and_no_run_starts(act: Act) -> None:
    _lease, run_id = left_by(act, f"elsewhere:{GONE_PID}:abcd", "elsewhere")
    act.engine.locked_by[act.group.stack] = "root@elsewhere (process 7)"
    act.want(1)
    act.scene.later(61)
    assert recover.tick(act.acting) == 0
    assert "root@elsewhere" in act.group.hold
    assert stack_runs.find(act.scene.world, run_id).status == "running"
    assert act.carry_out() is None
    assert resizing.due(act.scene.world, act.scene.now) == []
    act.engine.locked_by.clear()
    act.scene.later(recover.AGAIN_AFTER.total_seconds() + 1)
    assert recover.tick(act.acting) == 1
    assert stack_runs.find(act.scene.world, run_id).status == "lost"
    act.carry_out()
    assert act.group.applied == 1


def test_a_run_cleans_up_before_it_begins(act: Act) -> None:
    _lease, run_id = left_by(act, f"elsewhere:{GONE_PID}:abcd", "elsewhere")
    act.want(1)
    act.scene.later(61)
    act.carry_out()
    assert act.engine.recovered == [act.group.stack]
    assert stack_runs.find(act.scene.world, run_id).status == "lost"
    assert act.group.applied == 1


def test_who_comes_back_from_the_dead_is_fenced(act: Act) -> None:
    lease, run_id = left_by(act, f"elsewhere:{GONE_PID}:abcd", "elsewhere")
    later = act.scene.later(61)
    assert recover.tick(act.acting) == 1
    world = act.scene.world
    assert not stack_leases.extend(world, lease, later + timedelta(seconds=1))
    assert not stack_leases.attach(world, lease, 1)
    assert not stack_leases.release(world, lease, later)
    assert not stack_runs.add_events(world, lease, run_id, 1, [])
    assert stack_runs.must_stop(world, lease, run_id)
