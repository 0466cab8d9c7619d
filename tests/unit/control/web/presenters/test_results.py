from __future__ import annotations

from typing import Any

import pytest

from control.domain.ports import TailBlock
from control.services.logs import LogLine
from control.web.presenters import log_search, metrics
from control.web.presenters.log_lines import present


def points(count: int) -> list[dict[str, Any]]:
    return [
        {"_time": "2030-01-02T03:04:05.000000", "epoch": at, "loss": 1 / at, "note": "fine"}
        for at in range(1, count + 1)
    ]


def test_measured_keys_come_first_then_clocks_then_texts() -> None:
    found = metrics.summary(points(3))
    assert [one.key for one in found] == ["loss", "epoch", "note"]
    assert (found[0].last, found[0].least, found[0].greatest) == (1 / 3, 1 / 3, 1.0)
    assert found[2].least is None


def test_a_long_series_is_thinned_and_keeps_its_last_point() -> None:
    found = metrics.series(points(10_001))
    assert len(found["time"]) <= metrics.MOST_POINTS + 1
    assert found["series"]["epoch"][-1] == 10_001
    assert found["axes"] == ["epoch"]
    assert found["drawn"] == ["loss"]
    assert found["total"] == 10_001


def test_what_is_not_finite_is_a_hole_in_the_curve() -> None:
    odd = [*points(2), {"_time": "2030-01-02T03:04:06.000000", "loss": float("nan")}]
    assert metrics.series(odd)["series"]["loss"] == [1.0, 0.5, None]


def test_csv_has_a_row_a_point_and_runs_no_formula() -> None:
    text = metrics.csv_text([{"_time": "t", "a": 1, "b": "=1+1"}, {"_time": "u", "a": 2}])
    assert text.splitlines() == ["time,a,b", "t,1,'=1+1", "u,2,"]


def block(first: int, *lines: str) -> TailBlock:
    text = "".join(f"2030-01-02T03:04:05.000000 {line}\n" for line in lines)
    return TailBlock(first, len(lines), text.encode())


LOG = [
    block(1, "s Started", "o hello", "e epoch 1, 0 errors"),
    block(4, "o Hello again", "e Traceback (most recent call last):", "e ValueError: no"),
]


def numbers(text: str, streams: str = "oes", limit: int = 10, after: int = 0) -> list[int]:
    wanted = log_search.Wanted(text, streams, limit)
    return [number for number, _ in log_search.matches(LOG, wanted, after).lines]


def test_text_is_found_in_any_case_over_blocks() -> None:
    assert numbers("HELLO") == [2, 4]


def test_the_time_and_stream_of_a_line_are_no_text() -> None:
    assert numbers("2030") == []


def test_streams_are_chosen_by_letter() -> None:
    assert numbers("", "e") == [3, 5, 6]


def test_a_search_goes_on_where_it_stopped() -> None:
    first = log_search.matches(LOG, log_search.Wanted("", "oes", 2), 0)
    assert [number for number, _ in first.lines] == [1, 2]
    assert first.next == 2


def test_the_first_error_is_where_the_trouble_begins() -> None:
    assert log_search.first_error(LOG) == 5
    assert log_search.first_error(LOG[:1]) is None


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("o loss error=0.01", None),
        ("o ValueError: bad", 1),
        ("e CUDA out of memory, killed", 1),
        ("o 3 files, no errors", None),
        ("s The command failed", None),
    ],
)
def test_harmless_words_are_no_error(line: str, number: int | None) -> None:
    assert log_search.first_error([block(1, line)]) == number


def test_colours_are_kept_for_scripts_and_left_out_of_the_text() -> None:
    line = present([LogLine(7, "2030-01-02T03:04:05.000000", "stderr", "\x1b[31mred\x1b[0m")])[0]
    assert (line.number, line.kind, line.clock, line.text) == (7, "err", "03:04:05", "red")
    assert line.raw == "\x1b[31mred\x1b[0m"


def test_a_rewritten_line_shows_its_last_state() -> None:
    line = present([LogLine(1, "2030-01-02T03:04:05.000000", "stdout", "10%\r50%\r100%")])[0]
    assert line.text == "100%"
