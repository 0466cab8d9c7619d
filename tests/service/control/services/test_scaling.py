"""What the planner sees and what is recorded of its decisions, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from control.database.rows import AnyRow
from control.database.tables.environments import workers as worker_rows
from control.database.tables.executions import execution_counts
from control.database.tables.worker_groups import machines, scaling_decisions
from control.domain.scaling.state import GroupNow, GroupPlan, MachineState, Plan
from control.loops import autoscale
from control.services import drains, scaling, worker_groups
from tests.factories import Scene
from tests.scaling_scenes import (
    add_group,
    add_machine,
    add_ready,
    group_of,
    machine_of,
    see_all,
    set_group,
    worker_of,
    write,
)


def decisions(scene: Scene) -> list[AnyRow]:
    with scene.world.database.read() as connection:
        return list(connection.execute(select(scaling_decisions).order_by(scaling_decisions.c.id)))


def queue(scene: Scene, group: AnyRow, count: int) -> None:
    """Let so many wait, by the kept count alone."""
    values = {"project_id": "p", "environment_id": group.environment_id, "status": "queued"}
    write(scene.world, insert(execution_counts).values(**values, count=count))


def observed(scene: Scene) -> GroupNow:
    [group] = scaling.observe(scene.world, scene.now).groups
    return group


def planned(group: AnyRow, **given: Any) -> Plan:
    usual: dict[str, Any] = {
        "wanted": 0,
        "launch": 0,
        "drain": (),
        "undrain": (),
        "reason": "Nothing waits.",
    }
    return Plan((GroupPlan(group.name, **(usual | given)),))


def record(scene: Scene, plan: Plan) -> int:
    return scaling.record(scene.world, scaling.observe(scene.world, scene.now), plan, scene.now)


def test_a_submit_to_an_empty_group_is_decided_on_and_recorded_with_its_reason(
    scene: Scene,
) -> None:
    group = add_group(scene, environment="gpu", maximum=2)
    for _ in range(5):
        scene.submit(environment="gpu")
    assert autoscale.tick(scene.world, scene.now) == 1
    [made] = decisions(scene)
    assert (made.queued, made.wanted, made.live, made.busy, made.launch) == (5, 2, 0, 0, 2)
    assert made.blocked_by == "maximum"
    assert "maximum of 2" in made.reason
    row = group_of(scene.world, group.id)
    assert (row.wanted, row.wanted_at, row.decision_id) == (2, scene.now, made.id)
    assert observed(scene).in_flight == 2
    assert observed(scene).memory.last_launch_at == scene.now


def test_nothing_is_recorded_in_an_hour_of_unchanged_demand(scene: Scene) -> None:
    group = add_group(scene, environment="gpu", maximum=1)
    _, worker = add_ready(scene, group, "one")
    set_group(scene.world, group.id, wanted=1)
    for _ in range(3):
        scene.submit(environment="gpu")
    assert scene.claim(worker) is not None
    assert autoscale.tick(scene.world, scene.now) == 1
    for _ in range(360):
        see_all(scene, scene.later(10))
        assert autoscale.tick(scene.world, scene.now) == 0
    assert len(decisions(scene)) == 1


def test_what_waits_is_counted_and_never_listed(scene: Scene) -> None:
    group = add_group(scene, environment="gpu")
    queue(scene, group, 1_000_000)
    seen = scaling.observe(scene.world, scene.now)
    assert [(one.environment, one.slots, one.count) for one in seen.demands] == [
        (group.environment_id, 1, 1_000_000)
    ]
    scene.submit()
    assert scaling.observe(scene.world, scene.now).demands == seen.demands, "local: nobody scales"


def test_a_machine_is_seen_with_its_agent_and_its_leases(scene: Scene) -> None:
    group = add_group(scene, environment="gpu", slots=2)
    busy, worker = add_ready(scene, group, "busy", config_version="2")
    write(scene.world, update(worker_rows).where(worker_rows.c.id == worker.id).values(slots=2))
    scene.submit(environment="gpu")
    assert scene.claim(worker) is not None
    scene.later(1)
    idle, _ = add_ready(scene, group, "idle", config_version="2")
    joined_at = scene.now
    scene.later(1)
    boots = add_machine(scene, group, "boots", config_version="2")
    old = add_machine(scene, group, "old", config_version="1", launched_at=joined_at)
    ends = add_machine(scene, group, "ends", state=MachineState.TERMINATING, end_sent_at=scene.now)
    add_machine(scene, group, "gone", gone_at=scene.now)
    lost = add_machine(scene, group, "lost", state=MachineState.LOST, reclaim_at=scene.now)
    write(scene.world, update(machines).values(config_version="2").where(machines.c.id != old))
    found = {machine.id: machine for machine in observed(scene).machines}
    assert set(found) == {busy, idle, boots, old, ends, lost}
    assert (found[busy].slots, found[busy].busy_slots, found[busy].idle_since) == (2, 1, None)
    assert (found[idle].busy_slots, found[idle].idle_since) == (0, joined_at)
    assert found[boots].state is MachineState.LAUNCHING
    assert [one for one in found if found[one].is_outdated] == [old]
    assert found[ends].is_end_sent
    assert not found[ends].is_live
    assert found[lost].is_reclaimed


def test_an_agent_that_joined_counts_before_the_clouds_list_is_read_again(scene: Scene) -> None:
    group = add_group(scene, environment="gpu")
    machine_id, worker = add_ready(scene, group, "one", state=MachineState.LAUNCHING)
    [machine] = observed(scene).machines
    assert (machine.state, machine.idle_since) == (MachineState.READY, worker.joined_at)
    assert machine_of(scene.world, machine_id).state == MachineState.LAUNCHING


def test_a_silent_machine_gets_no_work_unless_all_are_silent(scene: Scene) -> None:
    group = add_group(scene, environment="gpu")
    silent, worker = add_ready(scene, group, "silent")
    add_ready(scene, group, "heard")
    see_all(scene, scene.later(120))
    write(
        scene.world,
        update(worker_rows)
        .where(worker_rows.c.id == worker.id)
        .values(last_seen_at=scene.now - timedelta(seconds=61)),
    )
    by_id = {machine.id: machine.busy_slots for machine in observed(scene).machines}
    assert [one for one in by_id if by_id[one]] == [silent]
    assert observed(scene).registry_read_at == scene.now
    heard_at = scene.now
    scene.later(61)
    assert not any(machine.busy_slots for machine in observed(scene).machines)
    assert observed(scene).registry_read_at == heard_at


def test_idle_time_counts_from_the_end_of_the_last_execution(scene: Scene) -> None:
    group = add_group(scene, environment="gpu")
    _, worker = add_ready(scene, group, "one")
    scene.submit(environment="gpu")
    spec = scene.claim(worker)
    assert spec is not None
    scene.later(40)
    assert observed(scene).machines[0].idle_since is None
    scene.finish(spec)
    ended_at = scene.now
    scene.later(10)
    assert observed(scene).machines[0].idle_since == ended_at


def test_an_idle_machine_is_drained_by_the_tick_and_taken_back_when_work_comes(
    scene: Scene,
) -> None:
    group = add_group(scene, environment="gpu", idle_ttl_s=60)
    machine_id, worker = add_ready(scene, group, "one")
    set_group(scene.world, group.id, wanted=1)
    see_all(scene, scene.later(61))
    assert autoscale.tick(scene.world, scene.now) == 1
    assert machine_of(scene.world, machine_id).state == MachineState.DRAINING
    assert worker_of(scene.world, worker.id).drain_requested_at == scene.now
    last = decisions(scene)[-1]
    assert (last.drain, last.wanted) == ([machine_id], 1), "until its end is sent it counts"
    assert machine_of(scene.world, machine_id).reason == last.reason
    scene.submit(environment="gpu")
    assert autoscale.tick(scene.world, scene.later(1)) == 1
    assert machine_of(scene.world, machine_id).state == MachineState.READY
    assert scene.claim(worker) is not None


def test_a_drain_that_a_claim_overtook_is_dropped_and_not_recorded(scene: Scene) -> None:
    group = add_group(scene, environment="gpu")
    machine_id, worker = add_ready(scene, group, "one")
    set_group(scene.world, group.id, wanted=1)
    record(scene, planned(group, wanted=1))
    seen = scaling.observe(scene.world, scene.now)
    scene.submit(environment="gpu")
    assert scene.claim(worker) is not None
    plan = planned(group, wanted=1, drain=(machine_id,))
    assert scaling.record(scene.world, seen, plan, scene.now) == 0
    assert machine_of(scene.world, machine_id).state == MachineState.READY
    assert len(decisions(scene)) == 1


def test_a_group_that_moved_meanwhile_is_left_to_the_next_tick(scene: Scene) -> None:
    group = add_group(scene, environment="gpu")
    machine_id, _ = add_ready(scene, group, "one")
    set_group(scene.world, group.id, wanted=1)
    seen = scaling.observe(scene.world, scene.now)
    scene.world.database.write(
        lambda connection: (
            drains.ask(connection, machine_id, "idle", scene.now)
            and drains.begin_end(connection, machine_id, scene.now)
        )
    )
    assert scaling.record(scene.world, seen, planned(group, wanted=4, launch=3), scene.now) == 0
    assert group_of(scene.world, group.id).wanted == 0


def test_a_decision_is_recorded_when_it_says_something_new(scene: Scene) -> None:
    group = add_group(scene, environment="gpu")

    def recorded(**given: Any) -> int:
        scene.later(0.001)
        return record(scene, planned(group, **given))

    assert recorded() == 1
    assert recorded() == 0
    assert recorded(blocked_by="budget") == 1
    assert recorded(blocked_by="budget", reason="2 wait.") == 0, "only a count, and too soon"
    scene.later(5)
    assert recorded(blocked_by="budget", reason="2 wait.") == 1
    assert recorded(wanted=2, launch=2, reason="2 wait.") == 1
    assert recorded(wanted=2, reason="2 wait.") == 0
    assert recorded(wanted=1, reason="2 wait.") == 1, "what was refused is asked for no longer"
    shown = worker_groups.list_decisions(scene.world, group.id, scene.now - timedelta(hours=1))
    assert [one.wanted for one in shown] == [0, 0, 0, 2, 1]


def test_a_busy_machine_that_retires_is_drained_once_idle_and_never_counted_on(
    scene: Scene,
) -> None:
    group = add_group(scene, environment="gpu", idle_ttl_s=600)
    machine_id, worker = add_ready(scene, group, "one", config_version="1")
    set_group(scene.world, group.id, wanted=1)
    scene.submit(environment="gpu")
    spec = scene.claim(worker)
    assert spec is not None
    plan = planned(group, wanted=1, retire=(machine_id,))
    assert record(scene, plan) == 1
    assert record(scene, plan) == 0
    add_ready(scene, group, "two", config_version="2")
    scene.finish(spec)
    assert observed(scene).machines[0].is_broken
    scene.submit(environment="gpu")
    see_all(scene, scene.later(1))
    autoscale.tick(scene.world, scene.now)
    assert machine_of(scene.world, machine_id).state == MachineState.DRAINING


def test_a_machine_that_need_not_retire_any_more_works_again(scene: Scene) -> None:
    group = add_group(scene, environment="gpu")
    machine_id, worker = add_ready(scene, group, "one")
    record(scene, planned(group, wanted=1, retire=(machine_id,)))
    assert worker_of(scene.world, worker.id).drain_requested_at is not None
    record(scene, planned(group, wanted=1))
    assert worker_of(scene.world, worker.id).drain_requested_at is None


def test_a_group_that_is_switched_off_starts_nothing_and_lets_idle_machines_go(
    scene: Scene,
) -> None:
    group = add_group(scene, environment="gpu", minimum=1, idle_ttl_s=60)
    machine_id, _ = add_ready(scene, group, "one")
    set_group(scene.world, group.id, wanted=1)
    worker_groups.set_enabled(scene.world, None, "gpu", False, scene.now)
    see_all(scene, scene.later(61))
    scene.submit(environment="gpu")
    scene.submit(environment="gpu")
    autoscale.tick(scene.world, scene.now)
    assert group_of(scene.world, group.id).wanted == 1
    assert observed(scene).policy.maximum == 0
    assert machine_of(scene.world, machine_id).state == MachineState.READY, "work waits for it"


@pytest.mark.parametrize("stale", [None, timedelta(seconds=61)])
def test_nothing_is_drained_on_an_old_list(scene: Scene, stale: timedelta | None) -> None:
    group = add_group(scene, environment="gpu", idle_ttl_s=60)
    machine_id, _ = add_ready(scene, group, "one")
    see_all(scene, scene.later(600))
    seen_at: datetime | None = scene.now - stale if stale else None
    set_group(scene.world, group.id, wanted=1, seen_at=seen_at)
    autoscale.tick(scene.world, scene.now)
    assert machine_of(scene.world, machine_id).state == MachineState.READY
    assert decisions(scene)[-1].blocked_by == "stale"


def test_groups_of_one_environment_are_tried_in_their_order(scene: Scene) -> None:
    add_group(scene, "gpu", markets=("spot", "on-demand"), maximum=1)
    see_all(scene, scene.now)
    for _ in range(3):
        scene.submit(environment="gpu")
    autoscale.tick(scene.world, scene.now)
    views = worker_groups.list_all(scene.world)
    assert [(view.row.name, view.row.wanted) for view in views] == [
        ("gpu-spot", 1),
        ("gpu-on-demand", 1),
    ]
