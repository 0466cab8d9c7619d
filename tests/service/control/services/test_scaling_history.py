"""The lines of the chart: no peak is lost, what held goes on, and their length is bounded."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from control.database.tables.worker_groups import scaling_decisions
from control.services import scaling_history
from control.services.scaling_history import MOST_POINTS, Lines
from tests.factories import NOW, Scene
from tests.fleet import Fleet

SIX_HOURS = timedelta(hours=6)


@pytest.fixture
def fleet(scene: Scene) -> Fleet:
    return Fleet(scene.world, "gpu", NOW)


def drawn(fleet: Fleet, *group_ids: str) -> Lines:
    return scaling_history.lines(fleet.world, group_ids, NOW - SIX_HOURS, NOW)


def at(lines: Lines, minutes_ago: float) -> dict[str, int | None]:
    """What the lines say of a moment."""
    moment = NOW - timedelta(minutes=minutes_ago)
    index = max(at for at, time in enumerate(lines.times) if time <= moment)
    return {name: values[index] for name, values in lines.values.items()}


def test_what_was_decided_holds_until_the_next_decision(fleet: Fleet) -> None:
    group_id = fleet.group("l4")
    fleet.decide(group_id, (60, 9, 4, 1, 0, "Grow."), (10, 0, 2, 4, 3, "Shrink."))
    lines = drawn(fleet, group_id)
    assert at(lines, 70) == dict.fromkeys(scaling_history.VALUES)
    assert at(lines, 40) == {"queued": 9, "wanted": 4, "live": 1, "busy": 0}
    assert at(lines, 1) == {"queued": 0, "wanted": 2, "live": 4, "busy": 3}
    assert lines.decisions == 2


def test_a_decision_before_the_range_holds_at_its_begin(fleet: Fleet) -> None:
    group_id = fleet.group("l4")
    fleet.decide(group_id, (500, 1, 1, 1, 1, "Old."), (400, 7, 3, 3, 2, "Long before."))
    assert at(drawn(fleet, group_id), 359) == {"queued": 7, "wanted": 3, "live": 3, "busy": 2}
    assert drawn(fleet, group_id).decisions == 0


def test_a_peak_of_a_second_is_kept_and_does_not_last(fleet: Fleet) -> None:
    group_id = fleet.group("l4")
    fleet.decide(
        group_id,
        (60.02, 0, 0, 0, 0, "Nothing."),
        (60.01, 500, 9, 0, 0, "A burst."),
        (60.0, 0, 0, 0, 0, "Over."),
    )
    lines = drawn(fleet, group_id)
    assert max(value or 0 for value in lines.values["queued"]) == 500
    assert at(lines, 50)["queued"] == 0


def test_groups_add_up_and_share_one_queue(fleet: Fleet) -> None:
    spot, other = fleet.group("spot"), fleet.group("other", rank=1)
    fleet.decide(spot, (60, 9, 4, 2, 1, "Spot."))
    fleet.decide(other, (30, 9, 3, 3, 3, "On demand."))
    lines = drawn(fleet, spot, other)
    assert at(lines, 40) == {"queued": 9, "wanted": 4, "live": 2, "busy": 1}
    assert at(lines, 20) == {"queued": 9, "wanted": 7, "live": 5, "busy": 4}


def test_many_decisions_make_no_longer_line(fleet: Fleet) -> None:
    group_id = fleet.group("l4")
    points = [(n / 60, n % 50, n % 7, n % 6, n % 5, f"Decision {n}.") for n in range(20_000, 0, -1)]
    fleet.decide(group_id, *points)
    lines = drawn(fleet, group_id)
    assert len(lines.times) <= MOST_POINTS
    assert lines.decisions == 20_000
    assert at(lines, 200)["queued"] == 49
    took = min(_seconds(fleet, group_id) for _ in range(5))
    assert took < 0.25  # twenty thousand rows; five times what it takes


def _seconds(fleet: Fleet, group_id: str) -> float:
    begun = time.perf_counter()
    drawn(fleet, group_id)
    return time.perf_counter() - begun


def test_the_newest_of_several_groups_are_joined(fleet: Fleet) -> None:
    spot, other = fleet.group("spot"), fleet.group("other", rank=1)
    fleet.decide(spot, (9, 0, 0, 0, 0, "first"), (3, 0, 0, 0, 0, "third"))
    fleet.decide(other, (5, 0, 0, 0, 0, "second"))
    found = scaling_history.newest_decisions(fleet.world, [spot, other], limit=2)
    assert [(row.reason, row.group) for row in found] == [("third", "spot"), ("second", "other")]
    assert scaling_history.newest_decisions(fleet.world, [], limit=2) == []


def test_decisions_are_paged_newest_first(fleet: Fleet) -> None:
    group_id = fleet.group("l4")
    fleet.decide(group_id, *((ago, 0, 0, 0, 0, f"{ago}") for ago in range(9, 0, -1)))
    first = scaling_history.page_of_decisions(fleet.world, group_id, before=None, limit=4)
    rest = scaling_history.page_of_decisions(fleet.world, group_id, before=first[-1].id, limit=9)
    assert [row.reason for row in [*first, *rest]] == [str(ago) for ago in range(1, 10)]


def test_groups_without_a_decision_have_empty_lines(fleet: Fleet) -> None:
    lines = drawn(fleet, fleet.group("l4"))
    assert set(lines.values["wanted"]) == {None}
    assert drawn(fleet).values["queued"][0] is None
    with fleet.world.database.read() as connection:
        assert connection.execute(scaling_decisions.select()).first() is None
