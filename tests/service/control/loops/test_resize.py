"""Sizes are carried out by the engine: once, the newest, never downwards, and with a reason."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from control.domain.cloud_ports import FailureClass, StackResult
from control.domain.scaling import memory as memories
from control.loops import resize
from control.loops.acting import Acting, utc_now
from control.loops.resize import Resizer, carry_out
from control.plugins.engines.memory import FAIL, SLEEP_S
from control.services import resizing, stack_leases, stack_runs, wakeups, worker_groups
from control.services.resizing import Due
from tests.acting_scenes import Act, make_act
from tests.factories import Scene
from tests.scaling_scenes import set_group
from tests.service.control.loops.test_runner import QueueAway

LIMIT_S = 20.0
OFTEN_S = 0.01


@pytest.fixture
def act(scene: Scene) -> Act:
    return make_act(scene)


def wait_for(condition: Callable[[], object]) -> None:
    waiting = threading.Event()
    for _ in range(int(LIMIT_S / OFTEN_S)):
        if condition():
            return
        waiting.wait(OFTEN_S)
    raise AssertionError("it did not come true")


def test_a_wanted_size_is_applied_and_recorded(act: Act) -> None:
    act.want(3)
    result = act.carry_out()
    assert result is not None
    assert result.outcome == "succeeded"
    assert act.desired == 3
    group = act.group
    assert (group.applied, group.applied_version) == (3, group.config_version)
    assert group.resource == "gpu-asg"
    run = stack_runs.list_newest(act.scene.world)[0]
    assert (run.status, run.size, run.verb) == ("succeeded", 3, "up")
    events = stack_runs.events_of(act.scene.world, run.id)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert events[-1].kind == "summary"


def test_an_hour_of_unchanged_demand_runs_no_engine(act: Act) -> None:
    act.want(3)
    act.carry_out()
    ran = len(act.engine.operations)
    resizer = Resizer(act.acting, 2)
    for _ in range(3600):
        act.scene.later(1)
        assert resizer.tick() == 0
    resizer.close()
    assert len(act.engine.operations) == ran


def test_a_burst_of_decisions_becomes_one_run_of_the_newest(act: Act) -> None:
    resizer = Resizer(act.acting, 2)
    for size in (1, 2, 3, 4):
        act.want(size)
        assert resizer.tick() == 0
        act.scene.later(0.2)
    act.scene.later(0.5)
    assert resizer.tick() == 1
    resizer.close()
    assert [operation.config["size"] for operation in act.engine.operations] == ["4"]


def test_of_sizes_that_come_during_a_run_only_the_newest_is_applied(act: Act) -> None:
    act.engine.extra = {SLEEP_S: "0.3"}
    resizer = Resizer(act.acting, 2)
    act.want(1)
    resizer.tick()
    act.scene.later(1)
    resizer.tick()
    wait_for(lambda: act.engine.operations)
    for size in (2, 5, 4):
        act.want(size)
        resizer.tick()
    wait_for(lambda: act.group.applied == 1)
    act.engine.extra = {}

    def has_grown() -> bool:
        act.scene.later(1)
        resizer.tick()
        return act.group.applied == 4

    wait_for(has_grown)
    resizer.close()
    assert [operation.config["size"] for operation in act.engine.operations] == ["1", "4"]


def test_a_smaller_wanted_size_is_never_applied(act: Act) -> None:
    act.want(5)
    act.carry_out()
    act.want(2)
    assert resizing.due(act.scene.world, act.scene.now) == []
    set_group(act.scene.world, act.group_id, config_version="new")  # a run for another reason
    result = act.carry_out()
    assert result is not None
    assert act.engine.operations[-1].config["size"] == "5"
    assert act.desired == 5


def test_what_the_cloud_has_already_needs_no_run(act: Act) -> None:
    act.want(2)
    act.carry_out()
    act.cloud.set_desired(act.ref, 4)
    act.want(4)
    assert act.carry_out() is None
    assert act.group.applied == 4
    assert len(act.engine.operations) == 1


def test_a_locked_stack_is_a_reason_that_people_see_and_is_tried_again_soon(act: Act) -> None:
    act.want(2)
    act.engine.locked_by[act.group.stack] = "maija@laptop (process 7)"
    result = act.carry_out()
    assert result is not None
    assert result.outcome == "conflict"
    assert "maija@laptop" in act.group.hold
    assert act.group.retry_at == act.scene.now + timedelta(seconds=5)
    assert resizing.due(act.scene.world, act.scene.later(4)) == []
    assert resizing.due(act.scene.world, act.scene.later(1)) == [Due(act.group_id, act.group.stack)]
    act.engine.locked_by.clear()
    act.carry_out()
    assert (act.group.applied, act.group.hold) == (2, "")


def test_a_wrong_configuration_opens_the_breaker_until_it_changes(act: Act) -> None:
    act.engine.extra = {FAIL: "creating: InvalidAMIID.NotFound: no image ami-1"}
    act.want(2)
    act.carry_out()
    assert "InvalidAMIID" in act.group.hold
    assert memories.from_json(act.group.memory).breaker_reason
    assert resizing.due(act.scene.world, act.scene.later(7200)) == []
    assert "does not work" in act.group.hold
    act.engine.extra = {}
    set_group(act.scene.world, act.group_id, config_version="mended")
    assert resizing.due(act.scene.world, act.scene.now)
    act.carry_out()
    assert act.group.applied == 2


def test_a_quota_is_not_asked_in_a_loop(act: Act) -> None:
    act.engine.extra = {FAIL: "VcpuLimitExceeded: more vCPU capacity than your limit"}
    act.want(2)
    act.carry_out()
    ran = len(act.engine.operations)
    resizer = Resizer(act.acting, 1)
    for _ in range(20):
        act.scene.later(60)
        resizer.tick()
    resizer.close()
    assert len(act.engine.operations) == ran
    memory = memories.from_json(act.group.memory)
    assert memory.backoff_class == FailureClass.QUOTA


def test_wrong_credentials_are_shown_and_tried_rarely(act: Act) -> None:
    act.engine.extra = {FAIL: "InvalidClientTokenId: The security token is invalid"}
    act.want(2)
    act.carry_out()
    assert "InvalidClientTokenId" in act.group.hold
    assert act.group.retry_at == act.scene.now + timedelta(minutes=5)


def test_a_stack_that_was_deleted_behind_our_back_is_not_made_again(act: Act) -> None:
    act.want(2)
    act.carry_out()
    act.engine.stacks.clear()
    act.want(3)
    result = act.carry_out()
    assert result is not None
    assert result.outcome == "missing"
    assert "does not exist" in act.group.hold
    assert act.engine.stacks == {}


def test_a_group_that_vanished_from_the_cloud_is_read_back_first(act: Act) -> None:
    act.want(2)
    act.carry_out()
    set_group(act.scene.world, act.group_id, resource="another-asg")
    act.want(3)
    act.carry_out()
    assert act.engine.recovered == [act.group.stack]


def test_a_cloud_that_does_not_answer_is_a_reason_and_no_run(act: Act) -> None:
    act.want(1)
    act.carry_out()
    act.want(2)
    act.cloud.faults.is_unreachable = True
    assert act.carry_out() is None
    assert act.group.hold
    assert act.group.retry_at == act.scene.now + resize.CLOUD_SILENT
    assert len(act.engine.operations) == 1


def test_a_paused_stack_is_left_alone_until_it_is_given_back(act: Act) -> None:
    stack = act.group.stack
    assert stack_leases.pause(act.scene.world, "gpu", "maija", act.scene.now)
    act.want(2)
    assert resizing.due(act.scene.world, act.scene.now) == []
    assert "maija" in act.group.hold
    assert act.carry_out() is None
    assert stack_leases.resume(act.scene.world, stack, act.scene.now) == "maija"
    assert act.carry_out() is not None
    assert act.group.applied == 2


def test_a_pause_waits_for_the_run_that_goes_on(act: Act) -> None:
    act.engine.extra = {SLEEP_S: "100"}
    act.want(2)
    thread = threading.Thread(target=act.carry_out)
    thread.start()
    wait_for(lambda: act.engine.operations)
    assert not stack_leases.pause(act.scene.world, "gpu", "maija", act.scene.now)
    run = stack_runs.list_newest(act.scene.world)[0]
    stack_runs.request_stop(act.scene.world, run.id, "maija")
    thread.join(LIMIT_S)
    assert stack_runs.find(act.scene.world, run.id).status == "interrupted"
    assert stack_leases.pause(act.scene.world, "gpu", "maija", act.scene.now)


def test_two_processes_never_run_the_same_stack(act: Act) -> None:
    act.engine.extra = {SLEEP_S: "0.3"}
    act.want(2)
    results: list[StackResult | None] = []
    due = Due(act.group_id, act.group.stack)
    start = threading.Barrier(2)

    def run(acting: Acting) -> None:
        start.wait(LIMIT_S)
        results.append(carry_out(acting, due))

    threads = [
        threading.Thread(target=run, args=(acting,)) for acting in (act.acting, act.other_process())
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert len(act.engine.operations) == 1
    assert [result.outcome for result in results if result is not None] == ["succeeded"]


def test_a_runner_that_lost_its_lease_writes_nothing(act: Act) -> None:
    act.engine.extra = {SLEEP_S: "100"}
    act.want(2)
    thread = threading.Thread(target=act.carry_out)
    thread.start()
    wait_for(lambda: act.engine.operations)
    stack = act.group.stack
    later = act.scene.now + timedelta(minutes=2)
    taken = stack_leases.take(act.scene.world, stack, "elsewhere:1:ffff", later)
    assert taken is not None
    assert taken.left is not None
    act.engine.extra = {}
    run_id = taken.left.run_id
    stack_runs.mark_lost(act.scene.world, run_id, "Taken over.", later)
    thread.join(LIMIT_S)
    assert not thread.is_alive(), "a fenced runner stops its engine"
    assert act.group.applied == 0
    assert stack_runs.find(act.scene.world, run_id).status == "lost"
    still = stack_leases.find(act.scene.world, stack)
    assert still is not None
    assert still.holder == "elsewhere:1:ffff"


# -- waking up ------------------------------------------------------------------------------------
def live(act: Act) -> Acting:
    """Let the scene's clock run."""
    began = utc_now()
    return replace(act.acting, clock=lambda: act.scene.now + (utc_now() - began))


@contextmanager
def following(acting: Acting) -> Iterator[threading.Event]:
    """Run the loop as `talkoot infra` does; the event is set when it has nothing to do."""
    resizer, stop, idle = Resizer(acting, 1), threading.Event(), threading.Event()

    def rest(ending: threading.Event) -> None:
        if not resizer.is_busy:
            idle.set()
        resizer.rest(ending)

    thread = threading.Thread(
        target=acting.repeat,
        args=("resize", resizer.tick, OFTEN_S),
        kwargs={"stop": stop, "rest": rest},
    )
    thread.start()
    try:
        yield idle
    finally:
        stop.set()
        thread.join(LIMIT_S)
        resizer.close()
        assert not thread.is_alive()


def test_a_decided_size_is_carried_out_without_waiting_for_the_next_look(
    act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resize, "IDLE_S", 3600.0)
    act.carry_out()
    with following(live(act)) as idle:
        assert idle.wait(LIMIT_S)
        act.want(3)
        wakeups.wake(act.scene.world, wakeups.RESIZE, act.scene.now)
        wait_for(lambda: act.group.applied == 3)


def test_a_size_is_found_while_nobody_can_be_woken(
    act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resize, "IDLE_S", 3600.0)
    monkeypatch.setattr(resize, "BLIND_S", OFTEN_S)
    act.carry_out()
    world = replace(act.acting.world, queue=QueueAway())
    with following(replace(live(act), world=world)) as idle:
        assert idle.wait(LIMIT_S)
        act.want(3)
        wait_for(lambda: act.group.applied == 3)


def test_what_a_person_gives_back_or_changes_wakes_the_loop(act: Act) -> None:
    world, now = act.scene.world, act.scene.now
    wakeups.wait(world, wakeups.RESIZE, 0)
    stack_leases.pause(world, act.group.stack, "ada", now)
    assert not wakeups.wait(world, wakeups.RESIZE, 0)
    stack_leases.resume(world, act.group.stack, now)
    assert wakeups.wait(world, wakeups.RESIZE, 0)
    worker_groups.change(world, None, act.group.name, {"maximum": 7}, now)
    assert wakeups.wait(world, wakeups.RESIZE, 0)
