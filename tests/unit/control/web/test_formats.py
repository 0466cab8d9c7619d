from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from control.web import formats

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
THIN = "\N{NARROW NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, formats.DASH),
        (-3, "0.0 s"),
        (0.44, "0.4 s"),
        (12.4, "12 s"),
        (200, "3 min 20 s"),
        (3840, "1 h 04 min"),
        (97_200, "1 d 3 h"),
    ],
)
def test_durations_are_written_as_people_say_them(seconds: float | None, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(seconds=42), "42 s ago"),
        (timedelta(minutes=3, seconds=50), "3 min ago"),
        (timedelta(hours=26), "1 day ago"),
        (timedelta(days=40), "23 Nov 2029"),
        (timedelta(hours=-2, seconds=-1), "in 2 h"),
    ],
)
def test_ages_are_rough_until_they_become_dates(before: timedelta, text: str) -> None:
    assert formats.ago(NOW - before, NOW) == text


@pytest.mark.parametrize(
    ("count", "text"), [(312, "312 B"), (4096, "4.0 KiB"), (1.5 * 2**30, "1.5 GiB"), (None, "–")]
)
def test_sizes_are_in_binary_units(count: float | None, text: str) -> None:
    assert formats.size(count) == text.replace("–", formats.DASH)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), ([8, 4], "8, 4"), (0.1, "0.1"), (None, "–")],
)
def test_a_parameter_is_written_as_people_type_it(value: object, text: str) -> None:
    assert formats.parameter(value) == text


def test_thousands_are_parted_by_thin_spaces() -> None:
    assert formats.plural(1_000_000, "line") == f"1{THIN}000{THIN}000 lines"
    assert formats.plural(1, "line") == "1 line"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.9718309, "0.97183"), (40, "40"), (True, "True"), (float("nan"), "nan"), ("adam", "adam")],
)
def test_metrics_keep_five_digits_and_texts_stay_texts(value: object, text: str) -> None:
    assert formats.measure(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), ([8, 4], "8, 4"), (0.1, "0.1"), (None, formats.DASH)],
)
def test_parameters_are_written_as_people_type_them(value: object, text: str) -> None:
    assert formats.parameter(value) == text
