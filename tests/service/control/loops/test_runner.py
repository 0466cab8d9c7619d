"""The loops: one holder at a time, a failing tick is not the last one, and what each tick does."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from control.domain.errors import TemporaryError
from control.domain.ports import TailBlock
from control.domain.states import Status
from control.loops import autoscale, heal, reap, runner, store_logs, sweep
from control.loops.runner import Loop
from control.plugins.queues.memory import MemoryQueue
from control.services import attempts, leases, tokens, wakeups
from control.services.world import World
from tests.factories import NOW, Scene
from tests.scaling_scenes import add_group

LIFE = timedelta(seconds=10)
LIMIT_S = 10.0
OFTEN_S = 0.01


@contextmanager
def running(world: World, stop: threading.Event) -> Iterator[None]:
    """Run the loops beside the test, and end them with it."""
    thread = threading.Thread(target=runner.run, args=(world, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(LIMIT_S)
        assert not thread.is_alive()


class Ticks:
    """A tick that remembers, says when it was called often enough, and may fail at first."""

    def __init__(self, *, wanted: int, failing: int = 0) -> None:
        self.enough = threading.Event()
        self._wanted, self._failing = wanted, failing
        self.count = 0

    def __call__(self, _world: World, _now: datetime) -> int:
        self.count += 1
        if self.count >= self._wanted:
            self.enough.set()
        if self.count <= self._failing:
            raise RuntimeError("the disk is full")
        return 0


def test_of_two_holders_one_gets_the_lease_until_it_ends_or_is_given_back(scene: Scene) -> None:
    def take(holder: str, now: datetime) -> bool:
        return leases.take(scene.world, "reap", holder, now, LIFE)

    assert take("one", NOW)
    assert not take("two", NOW + timedelta(seconds=9))
    assert take("one", NOW + timedelta(seconds=9)), "a holder extends its own"
    assert not take("two", NOW + timedelta(seconds=18))
    assert take("two", NOW + timedelta(seconds=19)), "its life is over"
    assert not take("one", NOW + timedelta(seconds=20))
    leases.release(scene.world, "reap", "one")
    assert not take("one", NOW + timedelta(seconds=20)), "only a holder gives back"
    leases.release(scene.world, "reap", "two")
    assert take("one", NOW + timedelta(seconds=20))


def test_leases_of_different_loops_are_apart(scene: Scene) -> None:
    assert leases.take(scene.world, "reap", "one", NOW, LIFE)
    assert leases.take(scene.world, "heal", "two", NOW, LIFE)


def test_of_many_that_ask_at_once_one_gets_the_lease(scene: Scene) -> None:
    won: list[bool] = []
    start = threading.Barrier(8)

    def take(number: int) -> None:
        start.wait(LIMIT_S)
        won.append(leases.take(scene.world, "reap", f"holder {number}", NOW, LIFE))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert sorted(won) == [False] * 7 + [True]


def test_a_tick_that_fails_is_logged_and_the_next_one_runs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, well = Ticks(wanted=3, failing=2), Ticks(wanted=3)
    loops = (Loop("failing", failing, OFTEN_S), Loop("well", well, OFTEN_S))
    monkeypatch.setattr(runner, "LOOPS", loops)
    with capture_logs() as logged, running(scene.world, threading.Event()):
        assert failing.enough.wait(LIMIT_S)
        assert well.enough.wait(LIMIT_S)
    said = [one for one in logged if one["event"] == "loop_failed"]
    assert [(one["loop"], one["log_level"]) for one in said] == [("failing", "error")] * 2


def test_a_loop_waits_while_another_process_holds_its_lease_and_gives_it_back_at_the_end(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, free = Ticks(wanted=1), Ticks(wanted=1)
    loops = (Loop("held", held, OFTEN_S), Loop("free", free, OFTEN_S))
    refused = threading.Event()
    take = leases.take

    def seen(world: World, name: str, holder: str, now: datetime, life: timedelta) -> bool:
        won = take(world, name, holder, now, life)
        if not won:
            refused.set()
        return won

    monkeypatch.setattr(runner, "LOOPS", loops)
    monkeypatch.setattr(leases, "take", seen)
    # The clock of the loops is the real one, and the other holder's lease ends long after it.
    assert take(scene.world, "held", "elsewhere", NOW, LIFE)
    with running(scene.world, threading.Event()):
        assert refused.wait(LIMIT_S)
        assert free.enough.wait(LIMIT_S)
        assert held.count == 0
        leases.release(scene.world, "held", "elsewhere")
        assert held.enough.wait(LIMIT_S)
    assert take(scene.world, "held", "elsewhere", NOW - timedelta(days=3650), LIFE)


def test_a_loop_ticks_at_once_when_it_is_woken_and_many_notes_are_few_ticks(
    scene: Scene,
) -> None:
    first, second = Ticks(wanted=1), Ticks(wanted=2)

    def tick(world: World, now: datetime) -> int:
        return first(world, now) + second(world, now)

    loops = (Loop("woken", tick, 3600.0, wakeups.PLAN),)
    stop = threading.Event()
    thread = threading.Thread(target=runner.run, args=(scene.world, stop, loops))
    thread.start()
    assert first.enough.wait(LIMIT_S)
    for _ in range(1000):
        wakeups.wake(scene.world, wakeups.PLAN, NOW)
    assert second.enough.wait(LIMIT_S), "an hour early"
    assert second.count < 100
    stop.set()
    thread.join(LIMIT_S)
    assert not thread.is_alive()


def test_only_who_holds_the_lease_takes_a_note(scene: Scene) -> None:
    assert leases.take(scene.world, "woken", "elsewhere", NOW, LIFE)
    ticks, stop = Ticks(wanted=1), threading.Event()
    wakeups.wake(scene.world, wakeups.PLAN, NOW)
    loops = (
        Loop("woken", ticks, OFTEN_S, wakeups.PLAN),
        Loop("beside", Ticks(wanted=3), OFTEN_S),
    )
    beside = loops[1].tick
    assert isinstance(beside, Ticks)
    thread = threading.Thread(target=runner.run, args=(scene.world, stop, loops))
    thread.start()
    assert beside.enough.wait(LIMIT_S)
    assert (ticks.count, scene.world.queue.depth(wakeups.PLAN)) == (0, 1)
    leases.release(scene.world, "woken", "elsewhere")
    assert ticks.enough.wait(LIMIT_S)
    stop.set()
    thread.join(LIMIT_S)


class QueueAway(MemoryQueue):
    """A queue server that does not answer."""

    def pop(self, queues: Sequence[str], *, wait_s: float) -> tuple[str, str] | None:
        raise TemporaryError("The queue server does not answer.")


def test_while_the_queue_is_away_the_rhythm_goes_on(scene: Scene) -> None:
    ticks, stop = Ticks(wanted=3), threading.Event()
    world = replace(scene.world, queue=QueueAway())
    loops = (Loop("woken", ticks, 0.05, wakeups.PLAN),)
    thread = threading.Thread(target=runner.run, args=(world, stop, loops))
    thread.start()
    assert ticks.enough.wait(LIMIT_S)
    stop.set()
    thread.join(LIMIT_S)


def test_a_submit_to_a_group_leaves_one_note_for_the_planner_and_a_local_one_none(
    scene: Scene,
) -> None:
    scene.submit()
    assert scene.world.queue.depth(wakeups.PLAN) == 0
    add_group(scene, environment="gpu")
    assert wakeups.wait(scene.world, wakeups.PLAN, 0), "a new group is planned at once"
    scene.submit(environment="gpu")
    scene.submit(environment="gpu")
    assert scene.world.queue.depth(wakeups.PLAN) == 1
    autoscale.tick(scene.world, scene.now)
    assert scene.world.queue.depth(wakeups.RESIZE) == 1


# -- the ticks ---------------------------------------------------------------------------------
def test_reap_fences_a_silent_worker_and_lets_a_held_execution_in(scene: Scene) -> None:
    scene.set_environment(per_user_queue_quota=1)
    running_id = scene.submit().row.id
    held_id = scene.submit().row.id
    assert scene.claim() is not None
    assert scene.row(held_id).status == Status.CREATED
    assert reap.tick(scene.world, scene.later(59)) == 0
    assert reap.tick(scene.world, scene.later(2)) == 1
    assert scene.row(running_id).status == Status.QUEUED
    scene.set_environment(per_user_queue_quota=2)
    assert reap.tick(scene.world, scene.now) == 1
    assert scene.row(held_id).status == Status.QUEUED


def test_heal_puts_back_what_the_queue_has_lost(scene: Scene) -> None:
    execution_id = scene.submit().row.id
    scene.world.queue.discard(scene.worker.environment_id, [execution_id])
    assert heal.tick(scene.world, scene.later(10)) == 1
    assert scene.world.queue.position(scene.worker.environment_id, execution_id) == 1
    assert heal.tick(scene.world, scene.now) == 0


def test_store_logs_moves_what_has_arrived(scene: Scene) -> None:
    execution_id = scene.submit().row.id
    spec = scene.claim()
    assert spec is not None
    line = TailBlock(1, 1, b"2030-01-02T03:04:05.000001 o one\n")
    attempts.append_log(scene.world, scene.held(spec), line)
    assert store_logs.tick(scene.world, scene.now) == 1
    assert scene.row(execution_id).log_stored == 1
    assert store_logs.tick(scene.world, scene.now) == 0


def test_sweep_deletes_what_has_expired_and_nothing_else(scene: Scene) -> None:
    user = scene.caller.user_id
    tokens.make_login_link(scene.world, user, NOW)
    young = tokens.make_login_link(scene.world, user, NOW + timedelta(minutes=5))
    later = NOW + tokens.LINK_LIFE
    assert sweep.tick(scene.world, later) == 1
    assert tokens.use_login_link(scene.world, young, later).user_id == user
