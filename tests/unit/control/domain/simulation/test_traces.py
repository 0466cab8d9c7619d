"""Traces as text."""

from __future__ import annotations

import pytest

from control.domain.errors import Invalid
from control.domain.simulation.traces import parse
from control.domain.simulation.world import Work


def test_csv_and_json_lines_are_the_same_day() -> None:
    written = "at_s,duration_s,slots,environment\n60,300,,\n0,30.5,2,gpu\n"
    lines = '{"at_s": 60, "duration_s": 300}\n\n{"at_s": 0, "duration_s": 30.5, "slots": 2, '
    day = (Work(0.0, 30.5, 2, "gpu"), Work(60.0, 300.0))
    assert parse(written) == day
    assert parse(lines + '"environment": "gpu"}\n') == day


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "no executions", id="empty"),
        pytest.param("at_s,slots\n1,1\n", "Line 2 lacks duration_s", id="a-column-is-missing"),
        pytest.param("at_s,duration_s\n1,soon\n", "Line 2 has something", id="not-a-number"),
        pytest.param("at_s,duration_s\n-1,3\n", "Line 2 has a negative", id="before-the-day"),
        pytest.param('{"at_s": 1\n', "Line 1 is not JSON", id="broken-json"),
    ],
)
def test_what_is_wrong_with_a_trace_is_said_with_its_line(text: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        parse(text)
