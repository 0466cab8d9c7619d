"""Parts of the control side are killed, or forget everything, while executions run and wait."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Callable
from contextlib import closing

import httpx
import pytest
import redis

from control.settings import read_settings
from tests.engines.processes import wait_until
from tests.journey.installation import Installation, kill
from tests.journey.project import WAIT_FOR_GATE, Execution, make_project, step

PART = "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; done"
TALKATIVE = f"for part in 1 2 3 4 5 6; do {PART}; sleep 0.5; done"
EVERY_LINE = [f"line {n}" for n in range(1, 2001)] * 6


def wipe_queue(place: Installation) -> None:
    """Forget every key, as an operator's FLUSHALL would."""
    url = read_settings({}, data_dir=place.data).queue_url
    with closing(redis.Redis.from_url(url)) as client:
        client.flushall()


def kill_queue(place: Installation) -> None:
    pid = place.child("queue")
    kill(pid)
    place.wait_for_child("queue", other_than=pid)


def kill_web(place: Installation) -> None:
    pid = place.child("web")
    kill(pid)
    place.wait_for_child("web", other_than=pid)
    wait_until(lambda: answers(place), what="the web process", limit_s=60, every_s=0.1)


def kill_loops(place: Installation) -> None:
    pid = place.child("loops")
    kill(pid)
    place.wait_for_child("loops", other_than=pid)


def answers(place: Installation) -> bool:
    try:
        return place.client().get("server/").is_success
    except httpx.TransportError:
        return False


BREAK = [wipe_queue, kill_queue, kill_web, kill_loops]
BREAK_IDS = ["queue-wiped", "queue-killed", "web-killed", "loops-killed"]


def check_it_is_whole(execution: Execution, lines: list[str]) -> None:
    ended = execution.wait("complete")
    assert ended["attempt_count"] == 1, execution.story()
    assert execution.lines() == lines
    numbers = [one["number"] for one in execution.events()]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("breaks", BREAK, ids=BREAK_IDS)
def test_nothing_is_lost_or_run_twice(
    shared: Installation, breaks: Callable[[Installation], None]
) -> None:
    runs = shared.folder / f"runs-{uuid.uuid4().hex[:6]}"
    train = step(
        "train",
        "echo before",
        WAIT_FOR_GATE,
        "echo after",
        'printf "$VH_EXECUTION_ID" > "$VH_OUTPUTS_DIR/id.txt"',
        'echo x >> "$RUNS"',
    )
    project = make_project(shared, train)
    given = {"RUNS": str(runs)}
    made = [project.run(environment_variables=given) for _ in range(3)]
    made[0].wait_for_line("before")
    breaks(shared)
    for one in made:
        one.wait_for_line("before")
        one.open_gate()
        check_it_is_whole(one, ["before", "after"])
        assert set(one.outputs()) == {"id.txt"}
    assert runs.read_text() == "x\n" * 3


@pytest.mark.parametrize("breaks", [kill_queue, kill_web], ids=["queue", "web"])
def test_a_log_that_grows_meanwhile_has_each_line_once(
    shared: Installation, breaks: Callable[[Installation], None]
) -> None:
    execution = make_project(shared, step("train", TALKATIVE)).run()
    execution.wait_for_line("line 1")
    breaks(shared)
    check_it_is_whole(execution, EVERY_LINE)


def test_serve_killed_and_started_again_lets_the_running_step_end(fresh: Installation) -> None:
    project = make_project(fresh, step("train", "echo before", WAIT_FOR_GATE, "echo after"))
    running, waiting = project.run(), project.run()
    running.wait_for_line("before")
    fresh.serve.send(signal.SIGKILL)
    fresh.serve.wait()
    fresh.serve_again()
    running.open_gate()
    check_it_is_whole(running, ["before", "after"])
    waiting.wait_for_line("before")
    waiting.open_gate()
    check_it_is_whole(waiting, ["before", "after"])
