"""Drained machines are ended by id: obeyed first, then checked, then for good."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import update

from control.database.rows import AnyRow
from control.database.tables.environments import workers as worker_rows
from control.domain.cloud_ports import Cloud, GroupRef
from control.domain.scaling.state import MachineState
from control.loops.end_drained import Ender
from control.plugins.clouds.memory import MemoryCloud
from control.services import drains, stack_leases, stack_runs
from control.services.stack_runs import NewRun
from tests.acting_scenes import Act, make_act
from tests.factories import Scene
from tests.scaling_scenes import add_group, add_ready, machine_of, set_group, worker_of, write

LIMIT_S = 20.0


@pytest.fixture
def act(scene: Scene) -> Act:
    made = make_act(scene)
    made.want(2)
    made.carry_out()
    return made


def joined(act: Act, place: int = 0) -> tuple[str, AnyRow]:
    """Let the agent of one of the cloud's machines join."""
    instance = act.cloud.instances(act.group.region)[place]
    return add_ready(act.scene, act.group, f"m{place}", instance_id=instance.id)


def ask(act: Act, machine_id: str) -> bool:
    now = act.scene.now
    return act.scene.world.database.write(lambda c: drains.ask(c, machine_id, "Idle.", now))


def obey(act: Act, worker: AnyRow) -> None:
    asked = worker_of(act.scene.world, worker.id)
    write(
        act.scene.world,
        update(worker_rows)
        .where(worker_rows.c.id == worker.id)
        .values(drain_ack_epoch=asked.drain_epoch),
    )


def tick(act: Act) -> None:
    ender = Ender(act.acting)
    ender.tick()
    ender.close()


def state(act: Act, machine_id: str) -> str:
    return machine_of(act.scene.world, machine_id).state


def test_a_drain_that_was_obeyed_ends_exactly_that_machine(act: Act) -> None:
    machine_id, worker = joined(act)
    assert ask(act, machine_id)
    tick(act)
    assert state(act, machine_id) == MachineState.DRAINING, "not before the agent obeys"
    obey(act, worker)
    tick(act)
    assert state(act, machine_id) == MachineState.TERMINATING
    assert act.desired == 1
    assert (act.group.wanted, act.group.applied) == (1, 1)
    left = [one.id for one in act.cloud.instances(act.group.region) if one.state == "running"]
    assert machine_of(act.scene.world, machine_id).instance_id not in left


def test_an_agent_that_is_silent_need_not_obey(act: Act) -> None:
    machine_id, _worker = joined(act)
    assert ask(act, machine_id)
    act.scene.later(61)
    tick(act)
    assert state(act, machine_id) == MachineState.TERMINATING


def test_what_the_cloud_would_refuse_is_not_left_drained(act: Act) -> None:
    machine_id, worker = joined(act)
    act.cloud.suspend(act.ref, "Terminate")
    assert ask(act, machine_id)
    obey(act, worker)
    act.scene.later(5)
    tick(act)
    row = machine_of(act.scene.world, machine_id)
    assert (row.state, row.end_sent_at) == (MachineState.READY, None)
    assert "suspended" in row.reason
    kept = worker_of(act.scene.world, worker.id)
    assert kept.drain_requested_at is None
    assert kept.idle_since == act.scene.now, "it is not drained again at once"
    assert act.desired == 2


def test_a_cloud_that_cannot_be_reached_is_asked_again(act: Act) -> None:
    machine_id, worker = joined(act)
    assert ask(act, machine_id)
    obey(act, worker)
    act.cloud.faults.is_unreachable = True
    tick(act)
    assert state(act, machine_id) == MachineState.DRAINING
    act.cloud.faults.is_unreachable = False
    tick(act)
    assert state(act, machine_id) == MachineState.TERMINATING
    assert act.desired == 1


def test_no_machine_is_ended_while_the_engine_runs_on_its_stack(act: Act) -> None:
    machine_id, worker = joined(act)
    assert ask(act, machine_id)
    obey(act, worker)
    world, stack = act.scene.world, act.group.stack
    lease = stack_leases.take(world, stack, "elsewhere:1:ffff", act.scene.now)
    assert lease is not None
    stack_runs.begin(world, lease, NewRun("up", "0"), act.scene.now)
    tick(act)
    assert state(act, machine_id) == MachineState.DRAINING
    stack_leases.release(world, lease, act.scene.now)
    tick(act)
    assert state(act, machine_id) == MachineState.TERMINATING


def test_two_processes_lower_the_number_once(act: Act) -> None:
    machine_id, worker = joined(act)
    assert ask(act, machine_id)
    obey(act, worker)
    enders = [Ender(act.acting), Ender(act.other_process())]
    for ender in enders:
        ender.tick()
    for ender in enders:
        ender.close()
    assert act.desired == 1
    assert act.group.applied == 1


class SlowCloud(MemoryCloud):
    """A cloud whose calls for one group hang until they are let go."""

    def __init__(self, inner: MemoryCloud, slow: str) -> None:
        self._inner, self._slow = inner, slow
        self.is_asked, self.go_on = threading.Event(), threading.Event()

    def may_terminate(self, group: GroupRef, instance_id: str) -> str | None:
        if group.name == self._slow:
            self.is_asked.set()
            assert self.go_on.wait(LIMIT_S)
        return self._inner.may_terminate(group, instance_id)

    def terminate(self, group: GroupRef, instance_id: str, *, replace: bool = False) -> None:
        self._inner.terminate(group, instance_id, replace=replace)


def test_one_slow_cloud_call_holds_up_no_other_group(act: Act) -> None:
    slow_id, slow_worker = joined(act)
    quick = add_group(act.scene, "quick")
    set_group(act.scene.world, quick.id, resource="quick-asg")
    ref = GroupRef("quick", quick.region, "quick-asg")
    act.cloud.add_group(ref)
    act.cloud.set_desired(ref, 1)
    instance = next(one for one in act.cloud.instances(quick.region) if one.group == "quick")
    quick_id, quick_worker = add_ready(act.scene, quick, "q", instance_id=instance.id)
    for machine_id, worker in ((slow_id, slow_worker), (quick_id, quick_worker)):
        assert ask(act, machine_id)
        obey(act, worker)
    cloud = SlowCloud(act.cloud, act.group.name)

    def clouds(_name: str) -> Cloud:
        return cloud

    ender = Ender(replace(act.acting, world=replace(act.acting.world, clouds=clouds)))
    ender.tick()
    assert cloud.is_asked.wait(LIMIT_S)
    pause = threading.Event()
    for _ in range(1000):
        if state(act, quick_id) == MachineState.TERMINATING:
            break
        pause.wait(0.01)
    assert state(act, quick_id) == MachineState.TERMINATING
    assert state(act, slow_id) == MachineState.DRAINING
    cloud.go_on.set()
    ender.close()
    assert state(act, slow_id) == MachineState.TERMINATING
