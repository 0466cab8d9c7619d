"""What a group learns. An id is the rule that its row holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from control.domain.cloud_ports import FailureClass
from control.domain.scaling import memory, money
from control.domain.scaling.state import GroupMemory
from tests.unit.control.domain.scaling.worlds import NOW, POLICY, decide, group, queue

CAPACITY, QUOTA = FailureClass.CAPACITY, FailureClass.QUOTA
BOOT, CONFIGURATION = FailureClass.BOOT_TIMEOUT, FailureClass.CONFIGURATION
MINUTE = timedelta(minutes=1)


def failed(*events: tuple[FailureClass, float], start: GroupMemory | None = None) -> GroupMemory:
    """Let failures happen, each at so many minutes after NOW."""
    known = start or GroupMemory()
    for kind, minutes in events:
        known = memory.remember_failure(known, POLICY, kind, "refused", NOW + minutes * MINUTE)
    return known


@pytest.mark.parametrize(
    ("events", "until"),
    [
        pytest.param([(CAPACITY, 0)], 3, id="the-first-refusal-pauses-three-minutes"),
        pytest.param([(CAPACITY, 0), (CAPACITY, 3)], 3 + 6, id="the-next-one-six"),
        pytest.param([(CAPACITY, 0), (CAPACITY, 1)], 3, id="refusals-of-one-wave-count-once"),
        pytest.param(
            [(CAPACITY, at) for at in (0, 3, 9, 21, 45, 75)], 75 + 30, id="half-an-hour-at-most"
        ),
        pytest.param([(CAPACITY, 0), (CAPACITY, 180)], 183, id="three-clean-hours-start-it-small"),
        pytest.param([(QUOTA, 0)], 30, id="a-quota-pauses-half-an-hour"),
        pytest.param([(QUOTA, 0), (QUOTA, 30)], 60, id="and-does-not-double"),
        pytest.param([(CAPACITY, 0), (QUOTA, 1)], 31, id="a-quota-outlasts-a-refusal"),
    ],
)
def test_pauses(events: list[tuple[FailureClass, float]], until: float) -> None:
    assert failed(*events).backoff_until == NOW + until * MINUTE


@pytest.mark.parametrize(
    ("given_s", "pause_s"),
    [
        pytest.param(60, 15, id="a-cloud-that-gave-in-the-same-minute-is-not-empty"),
        pytest.param(61, 180, id="what-it-gave-before-says-nothing"),
    ],
)
def test_a_refusal_of_part_of_a_wave(given_s: float, pause_s: float) -> None:
    given_at = NOW - timedelta(seconds=given_s)
    known = memory.remember_failure(GroupMemory(), POLICY, CAPACITY, "none", NOW, given_at)
    assert known.backoff_until == NOW + timedelta(seconds=pause_s)
    assert (known.refused_at is None) == (pause_s == 15)


@pytest.mark.parametrize("kind", [FailureClass.THROTTLE, FailureClass.RECLAIM])
def test_what_is_no_failure_changes_nothing(kind: FailureClass) -> None:
    assert failed((kind, 0)) == GroupMemory()


def test_the_burst_halves_on_a_failure_and_doubles_back() -> None:
    known = failed((BOOT, 0), (BOOT, 0))
    assert known.burst_now == 5
    known = memory.remember_joined(known, POLICY, NOW)
    assert known.burst_now == 10
    assert memory.remember_joined(known, POLICY, NOW).burst_now is None


def test_the_burst_never_falls_below_one() -> None:
    assert failed(*[(BOOT, 0)] * 9).burst_now == 1


def test_a_wrong_configuration_opens_the_breaker_until_it_changes() -> None:
    known = failed((CONFIGURATION, 0))
    assert decide(group(memory=known), queue(4)).blocked_by == "breaker"
    assert decide(group(memory=known, config_version="2"), queue(4)).launch == 1


def test_three_in_a_row_that_never_joined_open_the_breaker() -> None:
    assert not failed((BOOT, 0), (BOOT, 1)).breaker_reason
    assert failed((BOOT, 0), (BOOT, 1), (BOOT, 2)).breaker_reason


def test_one_that_joins_meanwhile_breaks_the_row() -> None:
    joined = memory.remember_joined(failed((BOOT, 0), (BOOT, 1)), POLICY, NOW + 2 * MINUTE)
    known = failed((BOOT, 3), (BOOT, 4), (BOOT, 5), start=joined)
    assert (known.breaker_reason, known.burst_now) == ("", joined.burst_now), "the image works"
    later = [(BOOT, 20.0), (BOOT, 21.0), (BOOT, 22.0)]
    assert failed(*later, start=joined).breaker_reason


def test_a_new_configuration_starts_a_new_row() -> None:
    known = failed((BOOT, 0), (BOOT, 1), (BOOT, 2))
    other = replace(POLICY, config_version="2")
    again = memory.remember_failure(known, other, BOOT, "", NOW + 9 * MINUTE)
    assert (again.breaker_reason, again.boot_failures) == ("", 1)


def test_reclaims_of_over_a_fifth_in_ten_minutes_are_avoided_for_ten() -> None:
    known = GroupMemory()
    for minutes in (0, 1):
        known = memory.remember_reclaim(known, 10, NOW + minutes * MINUTE)
    assert known.avoid_until is None
    known = memory.remember_reclaim(known, 10, NOW + 2 * MINUTE)
    assert known.avoid_until == NOW + 12 * MINUTE
    slow = memory.remember_reclaim(known, 10, NOW + 30 * MINUTE)
    assert len(slow.reclaimed_at) == 1


def test_money_of_another_month_is_forgotten() -> None:
    known = memory.remember_spend(GroupMemory(), 7.0, datetime(2030, 1, 31, 23, tzinfo=UTC))
    known = memory.remember_spend(known, 2.0, datetime(2030, 1, 31, 23, 30, tzinfo=UTC))
    assert known.spent_this_month == 9.0
    later = datetime(2030, 2, 1, tzinfo=UTC)
    assert money.spent(known, later) == 0.0
    assert memory.remember_spend(known, 1.0, later).spent_this_month == 1.0


def test_a_month_of_money_is_spread_over_its_hours() -> None:
    at = datetime(2030, 1, 28, 6, tzinfo=UTC)  # 90 hours before February
    policy = replace(POLICY, monthly_budget=1000.0)
    known = GroupMemory(spent_this_month=640.0, spent_at=at)
    assert money.ceiling(policy, known, at) == pytest.approx(5.0)
    assert money.ceiling(replace(policy, hourly_budget=2.0), known, at) == 2.0
    assert money.ceiling(replace(policy, monthly_budget=600.0), known, at) == 0.0


def test_a_memory_survives_its_row() -> None:
    known = memory.remember_reclaim(failed((CAPACITY, 0), (BOOT, 1)), 1, NOW)
    assert memory.from_json(memory.as_json(known)) == known


def test_a_row_of_another_version_is_read_as_far_as_it_is_understood() -> None:
    assert memory.from_json({"burst_now": 4.0, "colour": "red"}) == GroupMemory(burst_now=4.0)
    assert memory.from_json(None) == GroupMemory()
