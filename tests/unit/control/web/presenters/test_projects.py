from __future__ import annotations

from datetime import UTC, datetime

from control.web.presenters.projects import days_of_week, week

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_week_ends_with_today() -> None:
    days = days_of_week(NOW)
    assert [day.day for day in days] == [27, 28, 29, 30, 31, 1, 2]
    assert {(day.hour, day.minute) for day in days} == {(0, 0)}


def test_the_busiest_day_fills_the_picture_and_one_execution_can_be_seen() -> None:
    shown = week(days_of_week(NOW), (0, 1, 0, 500, 250, 0, 0))
    assert shown.path.startswith("M0 20v-1h8v1zM9 20v-3h8v3zM18 20v-1h8v1zM27 20v-20h8v20z")
    assert shown.label.startswith("Executions a day: Thu 0, Fri 1, Sat 0, Sun 500, Mon 250")
    assert shown.total == 751


def test_a_week_of_rest_is_flat() -> None:
    assert week(days_of_week(NOW), [0] * 7).total == 0
