"""The life of an execution against a real database, with queue and store in memory."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select, update

from agent import wire
from control.database.rows import AnyRow
from control.database.tables.datums import datums
from control.database.tables.environments import workers as worker_rows
from control.domain.errors import Fenced, Invalid, LogGap, TemporaryError
from control.domain.ports import TailBlock
from control.domain.states import Status
from control.services import attempts, executions, healing, logs, workers
from tests.factories import Scene


def block(first: int, *texts: str) -> TailBlock:
    lines = [f"2030-01-02T03:04:05.{first + i:06d} o {text}\n" for i, text in enumerate(texts)]
    return TailBlock(first, len(texts), "".join(lines).encode())


def test_a_submitted_execution_is_queued_and_claimed_once(scene: Scene) -> None:
    view = scene.submit(parameters={"epochs": 7})
    assert (view.row.counter, view.row.status) == (1, Status.QUEUED)
    spec = scene.claim()
    assert spec is not None
    assert spec.execution_id == view.row.id
    assert spec.commands == ("echo prepare", "python train.py --epochs=7")
    assert scene.row(view.row.id).status == Status.STARTED
    scene.world.queue.push([executions.queueing.entry_of(scene.row(view.row.id))])
    assert scene.claim() is None, "a doubled id in the queue must not start it twice"


def test_of_two_workers_exactly_one_gets_the_execution(scene: Scene) -> None:
    from control.services import claims

    execution_id = scene.submit().row.id
    other = scene.add_worker("worker-2")
    results: list[object] = []
    start = threading.Barrier(8)

    def take(worker: AnyRow) -> None:
        start.wait()
        future = claims.submit(scene.world, worker, execution_id, scene.now)
        results.append(future.result())

    threads = [
        threading.Thread(target=take, args=(worker,)) for worker in [scene.worker, other] * 4
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(result is not None for result in results) == 1


def test_counters_run_without_gaps_when_many_submit_at_once(scene: Scene) -> None:
    counters: list[int] = []
    threads = [
        threading.Thread(target=lambda: counters.append(scene.submit().row.counter))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counters) == list(range(1, 21))
    counts = executions.counts_by_status(scene.world, [scene.project_id])
    assert counts[scene.project_id]["queued"] == 20
    assert scene.world.queue.depth(scene.worker.environment_id) == 20


def test_a_failing_submission_harms_no_other_in_its_batch(scene: Scene) -> None:
    with pytest.raises(Invalid) as caught:
        scene.submit(parameters={"epochs": 1000, "speed": 1}, inputs={"other": []})
    fields = {error.field for error in caught.value.errors}
    assert fields == {"parameters.epochs", "parameters.speed", "inputs.other"}
    assert scene.submit().row.counter == 1


def test_the_log_is_whole_before_the_end(scene: Scene) -> None:
    execution_id = scene.submit().row.id
    spec = scene.claim()
    assert spec is not None
    attempts.append_log(scene.world, scene.held(spec), block(1, "one", "two"))
    with pytest.raises(LogGap) as gap:
        scene.finish(spec, log_last=3)
    assert gap.value.expected == 3
    attempts.append_log(scene.world, scene.held(spec), block(3, "three"))
    scene.finish(spec, log_last=3)
    row = scene.row(execution_id)
    assert (row.status, row.log_stored) == (Status.COMPLETE, 3)
    page = logs.read(scene.world, row, after=1, limit=10)
    assert [(line.number, line.message) for line in page.lines] == [(2, "two"), (3, "three")]


def test_a_repeated_block_is_acknowledged_and_dropped(scene: Scene) -> None:
    execution_id = scene.submit().row.id
    spec = scene.claim()
    assert spec is not None
    for _ in range(2):
        receipt = attempts.append_log(scene.world, scene.held(spec), block(1, "one", "two"))
        assert receipt.received == 2
    page = logs.read(scene.world, scene.row(execution_id), after=0, limit=10)
    assert [line.message for line in page.lines] == ["one", "two"]


def test_a_reader_gets_no_empty_block_while_the_next_line_arrives(scene: Scene) -> None:
    execution_id = scene.submit().row.id
    spec = scene.claim()
    assert spec is not None
    attempts.append_log(scene.world, scene.held(spec), block(1, "one"))
    healing.store_logs(scene.world)
    scene.world.queue.append_tail(execution_id, block(2, "two"))  # not yet in the row
    blocks = logs.read_blocks(scene.world, execution_id, after=0)
    assert [(found.first, found.count) for found in blocks] == [(1, 1)]


def test_lines_lost_with_the_queue_server_are_asked_for_again(scene: Scene) -> None:
    execution_id = scene.submit().row.id
    spec = scene.claim()
    assert spec is not None
    attempts.append_log(scene.world, scene.held(spec), block(1, "one", "two"))
    healing.store_logs(scene.world)
    attempts.append_log(scene.world, scene.held(spec), block(3, "three", "four"))
    scene.world.queue.drop_tail(execution_id, ttl_s=0)
    with pytest.raises(LogGap) as gap:
        scene.finish(spec, log_last=4)
    assert gap.value.expected == 3
    attempts.append_log(scene.world, scene.held(spec), block(3, "three", "four"))
    scene.finish(spec, log_last=4)
    page = logs.read(scene.world, scene.row(execution_id), after=0, limit=10)
    assert [line.message for line in page.lines] == ["one", "two", "three", "four"]


def test_a_silent_worker_is_fenced_and_the_execution_runs_again(scene: Scene) -> None:
    execution_id = scene.submit().row.id
    first = scene.claim()
    assert first is not None
    attempts.append_log(scene.world, scene.held(first), block(1, "one"))
    assert healing.reap(scene.world, scene.later(59)) == 0
    assert healing.reap(scene.world, scene.later(2)) == 1
    with pytest.raises(Fenced):
        scene.held(first)
    assert scene.row(execution_id).status == Status.QUEUED
    second = scene.claim()
    assert second is not None
    assert second.attempt_number == 2
    assert second.log_next == 3, "the first line of the lost attempt and the reason are kept"
    page = logs.read(scene.world, scene.row(execution_id), after=0, limit=10)
    assert "worker-1 stopped answering" in page.lines[1].message


def test_the_third_lost_worker_ends_it_with_a_reason(scene: Scene) -> None:
    execution_id = scene.submit().row.id
    for _ in range(3):
        assert scene.claim() is not None
        healing.reap(scene.world, scene.later(61))
    row = scene.row(execution_id)
    assert (row.status, row.reason) == (Status.CRASHED, "worker_lost")
    assert "attempt 3 of 3" in row.sentence


def test_machines_that_are_taken_back_do_not_use_up_the_retries(scene: Scene) -> None:
    execution_id = scene.submit().row.id

    def take_back() -> str:
        spec = scene.claim()
        assert spec is not None
        scene.finish(spec, outcome="crashed", reason="machine_reclaimed", sentence="Taken back.")
        return scene.row(execution_id).status

    assert {take_back() for _ in range(4)} == {Status.QUEUED}
    for _ in range(2):
        assert scene.claim() is not None
        healing.reap(scene.world, scene.later(61))
        assert scene.row(execution_id).status == Status.QUEUED
    assert take_back() == Status.QUEUED
    assert take_back() == Status.CRASHED
    assert "6 times, and 5 are accepted" in scene.row(execution_id).sentence


def test_what_a_leaving_worker_held_is_run_again_at_once(scene: Scene) -> None:
    execution_id = scene.submit().row.id
    assert scene.claim() is not None
    workers.leave(scene.world, scene.worker, scene.later(1))
    assert healing.reap(scene.world, scene.now) == 1
    assert scene.row(execution_id).status == Status.QUEUED


def test_heartbeats_keep_the_lease_and_carry_the_stop(scene: Scene) -> None:
    view = scene.submit()
    spec = scene.claim()
    assert spec is not None
    beat = wire.Heartbeat((wire.AttemptBeat(spec.attempt_id, spec.claim_token),))
    attempts.beat(scene.world, scene.worker, beat, scene.later(50))
    assert healing.reap(scene.world, scene.later(50)) == 0
    executions.request_stop(scene.world, scene.caller, view, scene.now)
    orders = attempts.beat(scene.world, scene.worker, beat, scene.now)
    assert (orders.attempts[0].action, orders.attempts[0].reason) == (
        "stop",
        "Stop requested by ada.",
    )
    executions.request_stop(scene.world, scene.caller, view, scene.now)
    orders = attempts.beat(scene.world, scene.worker, beat, scene.now)
    assert orders.attempts[0].action == "stop_now"
    scene.finish(spec, outcome="stopped", reason="stopped_by_user", exit_code=None)
    assert scene.row(view.row.id).status == Status.STOPPED


def test_stopping_a_queued_execution_ends_it_at_once(scene: Scene) -> None:
    view = scene.submit()
    executions.request_stop(scene.world, scene.caller, view, scene.now)
    row = scene.row(view.row.id)
    assert (row.status, row.reason) == (Status.STOPPED, "stopped_by_user")
    assert scene.claim() is None
    assert "ended already" in executions.request_stop(scene.world, scene.caller, view, scene.now)
    page = logs.read(scene.world, row, after=0, limit=10)
    assert [line.message for line in page.lines] == ["Stopped by ada before it started."]


def test_a_wiped_queue_is_filled_again_from_the_database(scene: Scene) -> None:
    ids = [scene.submit(priority=priority).row.id for priority in (0, 5, 0)]
    scene.world.queue.discard(scene.worker.environment_id, ids)
    assert healing.heal_queue(scene.world, scene.later(10)) == 3
    order = [spec.execution_id for _ in ids if (spec := scene.claim())]
    assert order == [ids[1], ids[0], ids[2]]


def test_a_quota_holds_executions_until_one_ends(scene: Scene) -> None:
    scene.set_environment(per_user_queue_quota=1)
    first, second = scene.submit(), scene.submit()
    assert (first.row.status, second.row.status) == (Status.QUEUED, Status.CREATED)
    reason = executions.wait_reason(scene.world, second, scene.now)
    assert reason is not None
    assert "the quota is 1" in reason
    spec = scene.claim()
    assert spec is not None
    scene.finish(spec)
    assert scene.row(second.row.id).status == Status.QUEUED


def test_a_waiting_execution_says_its_place_and_the_machines(scene: Scene) -> None:
    views = [scene.submit() for _ in range(3)]
    reason = executions.wait_reason(scene.world, views[2], scene.now)
    assert reason == "Waiting: 3rd of 3 on gpu-small; 1 worker free, it starts in a moment."
    scene.claim()
    reason = executions.wait_reason(scene.world, views[1], scene.now)
    assert reason == (
        "Waiting: next of 2 on gpu-small; 1 worker is busy, it starts when one is free."
    )


def test_a_worker_is_busy_when_all_its_slots_are(scene: Scene) -> None:
    change = update(worker_rows).where(worker_rows.c.id == scene.worker.id).values(slots=2)
    scene.world.database.write(lambda connection: connection.execute(change) and None)
    views = [scene.submit() for _ in range(3)]
    for place in ("2nd of 2 on gpu-small; 1 worker free", "next on gpu-small; 1 worker is busy"):
        scene.claim()
        reason = executions.wait_reason(scene.world, views[2], scene.now)
        assert reason is not None
        assert place in reason


def test_an_attempt_that_the_platform_broke_is_tried_again(scene: Scene) -> None:
    execution_id = scene.submit().row.id
    spec = scene.claim()
    assert spec is not None
    scene.finish(spec, outcome="crashed", reason="agent_restarted", exit_code=None)
    assert scene.row(execution_id).status == Status.QUEUED
    again = scene.claim()
    assert again is not None
    assert again.attempt_number == 2
    with pytest.raises(Fenced):
        scene.held(spec)


def test_finishing_twice_is_the_same_as_once(scene: Scene) -> None:
    execution_id = scene.submit().row.id
    spec = scene.claim()
    assert spec is not None
    assert scene.finish(spec) == scene.finish(spec)
    counts = executions.counts_by_status(scene.world, [scene.project_id])[scene.project_id]
    assert (counts["complete"], counts["started"], counts["queued"]) == (1, 0, 0)
    assert scene.row(execution_id).exit_code == 0


def test_metadata_reported_twice_is_kept_once(scene: Scene) -> None:
    execution_id = scene.submit().row.id
    spec = scene.claim()
    assert spec is not None
    points = [wire.MetadataPoint(n, "2030-01-02T03:04:05.000001", {"acc": n / 10}) for n in (1, 2)]
    for _ in range(2):
        attempts.report_metadata(scene.world, scene.held(spec), points, scene.now)
    found = executions.metadata_points(scene.world, execution_id)
    assert [point["acc"] for point in found] == [0.1, 0.2]
    assert scene.row(execution_id).cumulative_metadata == {"acc": 0.2}


def test_outputs_become_datums_when_their_bytes_are_there(scene: Scene) -> None:
    from control.domain.errors import Conflict

    execution_id = scene.submit().row.id
    spec = scene.claim()
    assert spec is not None
    file = wire.OutputFile("sub/model.bin", 5, "a" * 64)
    held = scene.held(spec)
    upload = attempts.offer_outputs(scene.world, held, [file], scene.now)[0]
    assert attempts.offer_outputs(scene.world, held, [file], scene.now)[0].datum_id == (
        upload.datum_id
    )
    stored = wire.OutputStored({"valohai.tags": ["best"], "label": "x"})
    with pytest.raises(Conflict):
        attempts.output_stored(scene.world, held, upload.datum_id, stored, scene.now)
    key = f"data/{scene.project_id}/{upload.datum_id}/model.bin"
    scene.world.store.put(key, b"12345")
    for _ in range(2):
        attempts.output_stored(scene.world, held, upload.datum_id, stored, scene.now)
    assert scene.row(execution_id).output_count == 1
    # Properties that came after the file replace what was said with it; nothing said keeps them.
    for late in (wire.OutputStored({"label": "y"}), wire.OutputStored()):
        attempts.output_stored(scene.world, held, upload.datum_id, late, scene.now)
    with scene.world.database.read() as connection:
        datum = connection.execute(select(datums).where(datums.c.id == upload.datum_id)).one()
    assert (datum.tags, datum.properties) == ([], {"label": "y"})
    assert scene.row(execution_id).output_count == 1


def test_a_log_is_read_as_far_as_it_is_stored_while_the_queue_server_is_away(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_id = scene.submit().row.id
    spec = scene.claim()
    assert spec is not None
    attempts.append_log(scene.world, scene.held(spec), block(1, "one"))
    healing.store_logs(scene.world)
    attempts.append_log(scene.world, scene.held(spec), block(2, "two"))

    def away(*_: object, **__: object) -> object:
        raise TemporaryError("The queue server does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(scene.world.queue, "read_tail", away)
        page = logs.read(scene.world, scene.row(execution_id), after=0, limit=10)
        assert [line.message for line in page.lines] == ["one"]
    page = logs.read(scene.world, scene.row(execution_id), after=0, limit=10)
    assert [line.message for line in page.lines] == ["one", "two"]
