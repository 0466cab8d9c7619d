"""A machine that drains gets no work, and one that works is not drained; on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from agent import wire
from control.database.rows import AnyRow
from control.database.session import Database
from control.domain.scaling.state import MachineState
from control.loops import autoscale
from control.services import attempts, claims, drains, people_drains, workers
from tests.factories import Scene
from tests.scaling_scenes import add_group, add_ready, group_of, machine_of, set_group, worker_of

LIMIT_S = 10.0


@pytest.fixture
def ready(scene: Scene) -> tuple[str, AnyRow]:
    """A ready machine in a group, and its worker."""
    return add_ready(scene, add_group(scene, environment="gpu"), "one")


def ask(scene: Scene, machine_id: str) -> bool:
    return scene.world.database.write(
        lambda connection: drains.ask(connection, machine_id, "It is idle.", scene.now)
    )


def end(scene: Scene, machine_id: str) -> bool:
    return scene.world.database.write(
        lambda connection: drains.begin_end(connection, machine_id, scene.now)
    )


def take_back(scene: Scene, machine_id: str) -> bool:
    return scene.world.database.write(
        lambda connection: drains.take_back(connection, machine_id, "Work came.")
    )


def standing(scene: Scene, machine_id: str) -> drains.Standing:
    with scene.world.database.read() as connection:
        return drains.standing(connection, machine_id, scene.now)


def beat(scene: Scene, worker: AnyRow, *, epoch: int = 0) -> wire.Orders:
    message = wire.Heartbeat(drain_epoch=epoch)
    return attempts.beat(scene.world, worker, message, scene.later(1))


def test_a_worker_that_is_asked_to_drain_is_granted_nothing(
    scene: Scene, ready: tuple[str, AnyRow]
) -> None:
    machine_id, worker = ready
    execution_id = scene.submit(environment="gpu").row.id
    assert ask(scene, machine_id)
    assert scene.claim(worker) is None
    assert scene.row(execution_id).status == "queued"
    assert scene.world.queue.position(worker.environment_id, execution_id) == 1
    assert take_back(scene, machine_id)
    spec = scene.claim(worker)
    assert spec is not None
    assert spec.execution_id == execution_id


def test_a_worker_that_holds_a_lease_is_not_drained_until_it_is_done(
    scene: Scene, ready: tuple[str, AnyRow]
) -> None:
    machine_id, worker = ready
    scene.submit(environment="gpu")
    spec = scene.claim(worker)
    assert spec is not None
    assert not ask(scene, machine_id)
    assert machine_of(scene.world, machine_id).state == MachineState.READY
    assert worker_of(scene.world, worker.id).drain_requested_at is None
    scene.later(30)
    scene.finish(spec)
    assert worker_of(scene.world, worker.id).idle_since == scene.now
    assert ask(scene, machine_id)
    assert not ask(scene, machine_id), "once is enough"


def test_the_agent_hears_of_a_drain_and_acknowledges_it(
    scene: Scene, ready: tuple[str, AnyRow]
) -> None:
    machine_id, worker = ready
    assert not beat(scene, worker).should_drain
    assert ask(scene, machine_id)
    orders = beat(scene, worker)
    assert (orders.should_drain, orders.drain_epoch) == (True, 1)
    assert standing(scene, machine_id) == drains.Standing(True, False, 0)
    assert beat(scene, worker, epoch=1).should_drain, "its own beat does not take it back"
    assert worker_of(scene.world, worker.id).status == "draining"
    assert standing(scene, machine_id) == drains.Standing(True, True, 0)


def test_an_old_acknowledgement_is_none_of_a_new_drain(
    scene: Scene, ready: tuple[str, AnyRow]
) -> None:
    machine_id, worker = ready
    assert ask(scene, machine_id)
    beat(scene, worker, epoch=1)
    assert take_back(scene, machine_id)
    orders = beat(scene, worker, epoch=1)
    assert (orders.should_drain, worker_of(scene.world, worker.id).status) == (False, "live")
    assert ask(scene, machine_id)
    beat(scene, worker, epoch=1)
    assert not standing(scene, machine_id).is_obeyed
    assert beat(scene, worker, epoch=2).drain_epoch == 2
    assert standing(scene, machine_id).is_obeyed


def test_a_silent_or_departed_agent_need_not_acknowledge(
    scene: Scene, ready: tuple[str, AnyRow]
) -> None:
    machine_id, worker = ready
    assert ask(scene, machine_id)
    scene.later(61)
    assert standing(scene, machine_id).is_obeyed
    beat(scene, worker)
    assert not standing(scene, machine_id).is_obeyed
    workers.leave(scene.world, worker, scene.now)
    assert standing(scene, machine_id).is_obeyed
    assert take_back(scene, machine_id)
    assert worker_of(scene.world, worker.id).status == "left"


def test_after_the_end_is_sent_there_is_no_way_back(
    scene: Scene, ready: tuple[str, AnyRow]
) -> None:
    machine_id, worker = ready
    group_id = machine_of(scene.world, machine_id).group_id
    set_group(scene.world, group_id, wanted=1)
    assert not end(scene, machine_id), "it was not asked to drain"
    assert ask(scene, machine_id)
    assert end(scene, machine_id)
    assert not end(scene, machine_id)
    assert not take_back(scene, machine_id)
    assert beat(scene, worker).should_drain
    assert machine_of(scene.world, machine_id).state == MachineState.TERMINATING
    assert group_of(scene.world, group_id).wanted == 0, "the cloud's size falls by one, and ours"


def test_a_busy_worker_that_retires_ends_its_work_and_gets_no_more(
    scene: Scene, ready: tuple[str, AnyRow]
) -> None:
    machine_id, worker = ready
    scene.submit(environment="gpu")
    spec = scene.claim(worker)
    assert spec is not None

    def retire() -> bool:
        return scene.world.database.write(
            lambda connection: drains.retire(connection, machine_id, scene.now)
        )

    assert retire()
    assert not retire(), "it knows"
    assert beat(scene, worker).should_drain
    scene.submit(environment="gpu")
    assert scene.claim(worker) is None
    assert not ask(scene, machine_id)
    scene.finish(spec)
    assert ask(scene, machine_id)
    assert machine_of(scene.world, machine_id).drain_epoch == 1


def test_a_held_machine_gets_no_work_and_is_still_live(
    scene: Scene, ready: tuple[str, AnyRow]
) -> None:
    machine_id, worker = ready
    write = scene.world.database.write
    assert write(lambda c: drains.hold(c, machine_id, scene.now))
    assert not write(lambda c: drains.hold(c, machine_id, scene.now)), "it is held already"
    scene.submit(environment="gpu")
    assert scene.claim(worker) is None
    orders = beat(scene, worker)
    assert orders.should_drain
    beat(scene, worker, epoch=orders.drain_epoch)
    assert worker_of(scene.world, worker.id).status == "live"
    assert write(lambda c: drains.keep(c, machine_id))
    assert scene.claim(worker) is not None


def test_a_held_machine_may_be_drained_and_taken_back(
    scene: Scene, ready: tuple[str, AnyRow]
) -> None:
    machine_id, worker = ready
    assert scene.world.database.write(lambda c: drains.hold(c, machine_id, scene.now))
    assert ask(scene, machine_id)
    assert worker_of(scene.world, worker.id).status == "draining"
    assert take_back(scene, machine_id)


def test_what_a_person_drained_is_never_taken_back(scene: Scene, ready: tuple[str, AnyRow]) -> None:
    machine_id, worker = ready
    people_drains.drain(scene.world, replace(scene.caller, is_admin=True), worker.id, scene.now)
    assert not take_back(scene, machine_id)
    assert machine_of(scene.world, machine_id).state == MachineState.DRAINING


def test_a_busy_machine_that_a_person_drained_is_not_kept(
    scene: Scene, ready: tuple[str, AnyRow]
) -> None:
    machine_id, worker = ready
    scene.submit(environment="gpu")
    assert scene.claim(worker) is not None
    people_drains.drain(scene.world, replace(scene.caller, is_admin=True), worker.id, scene.now)
    assert not scene.world.database.write(lambda c: drains.keep(c, machine_id))
    autoscale.tick(scene.world, scene.now)
    assert worker_of(scene.world, worker.id).drain_requested_at is not None


def test_one_that_was_to_retire_may_be_kept(scene: Scene, ready: tuple[str, AnyRow]) -> None:
    machine_id, worker = ready

    def keep() -> bool:
        return scene.world.database.write(lambda connection: drains.keep(connection, machine_id))

    assert not keep()
    scene.world.database.write(lambda connection: drains.retire(connection, machine_id, scene.now))
    assert keep()
    assert not beat(scene, worker).should_drain


@contextmanager
def held_open(database: Database) -> Iterator[Callable[[], None]]:
    """Keep a transaction open around what is submitted inside; call to wait until that has run.

    One writer puts all that waits into one transaction: a gate, what is submitted, and a wait.
    """
    gate, has_run, may_commit = threading.Event(), threading.Event(), threading.Event()

    def wait(_: Connection) -> None:
        has_run.set()
        assert may_commit.wait(LIMIT_S)

    def run() -> None:
        database.submit(wait)
        gate.set()
        assert has_run.wait(LIMIT_S)

    database.submit(lambda _: gate.wait(LIMIT_S))
    try:
        yield run
    finally:
        may_commit.set()


def asked(database: Database, scene: Scene, machine_id: str) -> Future[bool]:
    return database.submit(
        lambda connection: drains.ask(connection, machine_id, "It is idle.", scene.now)
    )


def test_a_drain_that_comes_while_a_claim_is_not_committed_sees_its_lease(
    scene: Scene, ready: tuple[str, AnyRow]
) -> None:
    machine_id, worker = ready
    execution_id = scene.submit(environment="gpu").row.id
    other = Database(scene.world.database.url)
    with held_open(scene.world.database) as run:
        claimed = claims.submit(scene.world, worker, execution_id, scene.now)
        run()
        drained = asked(other, scene, machine_id)
        with pytest.raises(TimeoutError):
            drained.result(0.3)
    assert isinstance(claimed.result(LIMIT_S), claims.Claimed)
    assert drained.result(LIMIT_S) is False
    assert worker_of(scene.world, worker.id).drain_requested_at is None
    other.close()


def test_a_claim_that_comes_while_a_drain_is_not_committed_is_refused(
    scene: Scene, ready: tuple[str, AnyRow]
) -> None:
    machine_id, worker = ready
    execution_id = scene.submit(environment="gpu").row.id
    other = Database(scene.world.database.url)
    with held_open(other) as run:
        drained = asked(other, scene, machine_id)
        run()
        claimed = claims.submit(scene.world, worker, execution_id, scene.now)
        with pytest.raises(TimeoutError):
            claimed.result(0.3)
    assert drained.result(LIMIT_S) is True
    assert isinstance(claimed.result(LIMIT_S), claims.Draining)
    assert scene.row(execution_id).status == "queued"
    other.close()


def test_a_heartbeat_does_not_wait_for_a_claim(scene: Scene, ready: tuple[str, AnyRow]) -> None:
    _, worker = ready
    execution_id = scene.submit(environment="gpu").row.id
    if scene.world.database.is_sqlite:
        pytest.skip("there one transaction writes at a time")
    other = Database(scene.world.database.url)
    beside = replace(scene.world, database=other)
    with held_open(scene.world.database) as run:
        claims.submit(scene.world, worker, execution_id, scene.now)
        run()
        attempts.beat(beside, worker, wire.Heartbeat(), scene.now)
    other.close()
