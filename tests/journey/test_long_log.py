"""A log of 100,000 lines, read in every way there is while it grows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.journey.event_stream import Follower
from tests.journey.installation import Installation
from tests.journey.project import FINAL, Execution, make_project, step

LINES = 100_000
GROW = "for part in 0 1 2 3 4 5 6 7 8 9; do seq $((part*10000+1)) $((part*10000+10000)); done"
EXPECTED = [str(n) for n in range(1, LINES + 1)]


def page_through(execution: Execution) -> tuple[list[int], list[str]]:
    """Ask for what is new, page by page, until the end."""
    numbers: list[int] = []
    lines: list[str] = []
    after = 0
    while True:
        is_over = execution.status in FINAL
        page = execution.get("events/", after=after, limit=7000)
        numbers += [one["number"] for one in page["events"]]
        lines += [one["message"] for one in page["events"] if one["stream"] == "stdout"]
        after = page["next"]
        if is_over and after >= page["total"]:
            return numbers, lines


def test_every_reader_gets_each_line_once(shared: Installation) -> None:
    slow = GROW.replace("; done", "; sleep 0.3; done")
    execution = make_project(shared, step("train", slow)).run()
    follower = Follower(execution)
    patient = Follower(execution)
    with ThreadPoolExecutor(3) as pool:
        cut = pool.submit(follower.follow, cut_after=2)
        whole = pool.submit(patient.follow, cut_after=1_000_000)
        paged = pool.submit(page_through, execution)
        cut.result(120)
        whole.result(120)
        numbers, lines = paged.result(120)
    execution.wait("complete")
    count = len(execution.events())
    assert lines == EXPECTED
    assert numbers == list(range(1, count + 1))
    assert follower.lines == EXPECTED
    assert follower.numbers == numbers
    assert follower.connections > 3
    assert patient.lines == EXPECTED
    assert patient.connections == 1


def test_the_whole_log_is_there_after_the_end(shared: Installation) -> None:
    execution = make_project(shared, step("train", GROW)).run()
    execution.wait("complete")
    assert execution.lines() == EXPECTED
    newest = execution.get("events/")
    assert newest["truncated"]
    assert [one["number"] for one in newest["events"]][-1] == newest["total"]
    answer = execution.api.get(f"executions/{execution.id}/logs/")
    assert [line for line in answer.text.splitlines() if line.isdigit()] == EXPECTED
    late = Follower(execution)
    late.follow(cut_after=3)
    assert late.lines == EXPECTED
