"""The sentences that people read, word for word."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from control.domain.scaling.outlook import expected_rate, outlook
from control.domain.scaling.plan import plan
from control.domain.scaling.state import Demand, GroupMemory, GroupNow
from tests.unit.control.domain.scaling.worlds import (
    DRAINING,
    LAUNCHING,
    NOW,
    ago,
    decide,
    group,
    machines,
    queue,
)

LATER = NOW + timedelta(minutes=32)
YOUNG = machines(2, LAUNCHING, launched_at=ago(60))
REFUSED = GroupMemory(
    backoff_until=LATER, backoff_class="capacity", backoff_message="InsufficientInstanceCapacity"
)


@pytest.mark.parametrize(
    ("one", "demands", "reason", "blocked_by"),
    [
        pytest.param(
            group(*YOUNG),
            [queue(40)],
            "40 queued need 10 machines of 4 slots; 2 are starting, 8 more are asked for.",
            "",
            id="launch",
        ),
        pytest.param(
            group(),
            [queue(1)],
            "1 queued needs 1 machine of 4 slots; 1 is asked for.",
            "",
            id="one",
        ),
        pytest.param(
            group(*YOUNG),
            [queue(8)],
            "8 queued need 2 machines of 4 slots; 2 are starting.",
            "",
            id="wait-for-what-starts",
        ),
        pytest.param(
            group(*machines(2)),
            [queue(8)],
            "8 queued fit on machines that are free.",
            "",
            id="free",
        ),
        pytest.param(
            group(*machines(2, busy_slots=1), spare=0),
            [],
            "Nothing waits for this group.",
            "",
            id="quiet",
        ),
        pytest.param(
            group(*machines(5, busy_slots=4), maximum=5),
            [queue(12)],
            "Wanted 3 more and the maximum of 5 is reached.",
            "maximum",
            id="maximum",
        ),
        pytest.param(
            group(maximum=4, hourly_budget=3.0),
            [queue(20)],
            "12 queued need 3 machines of 4 slots; 3 are asked for. "
            "Wanted 2 more and the budget of 3.00 dollars an hour is reached.",
            "budget",
            id="budget",
        ),
        pytest.param(
            group(burst=3),
            [queue(40)],
            "40 queued need 10 machines of 4 slots; 3 are asked for. "
            "7 more wait until the first ones have come up.",
            "burst",
            id="burst",
        ),
        pytest.param(
            group(memory=REFUSED),
            [queue(4)],
            "Launches are held back until 12:32 UTC: the cloud said InsufficientInstanceCapacity.",
            "backoff",
            id="backoff",
        ),
        pytest.param(
            group(memory=GroupMemory(breaker_reason="AMI ami-1 was not found.")),
            [queue(4)],
            "Launches have stopped until the group's configuration changes: "
            "AMI ami-1 was not found.",
            "breaker",
            id="breaker",
        ),
        pytest.param(
            group(is_paused=True),
            [queue(4)],
            "A person holds the stack: nothing is launched or ended until it is given back.",
            "paused",
            id="paused",
        ),
        pytest.param(
            group(cloud_read_at=None),
            [],
            "Nothing waits for this group. "
            "The cloud's list is not fresh: nothing is launched or ended until it is read again.",
            "stale",
            id="stale",
        ),
        pytest.param(
            group(memory=GroupMemory(avoid_until=LATER)),
            [],
            "Nothing waits for this group. "
            "The cloud took many machines back: other groups are tried first until 12:32 UTC.",
            "avoided",
            id="avoided",
        ),
        pytest.param(
            group(minimum=2, spare=1),
            [],
            "Nothing waits for this group. "
            "To keep a minimum of 2 and 1 idle, 2 machines are wanted.",
            "",
            id="floors",
        ),
        pytest.param(
            group(*machines(5)),
            [],
            "Nothing waits for this group. 1 machine without work leaves; 4 stay.",
            "",
            id="drain",
        ),
        pytest.param(
            group(*machines(2, DRAINING)),
            [queue(8)],
            "8 queued need 2 machines of 4 slots. 2 machines that were leaving are kept.",
            "",
            id="undrain",
        ),
    ],
)
def test_reasons(one: GroupNow, demands: list[Demand], reason: str, blocked_by: str) -> None:
    made = decide(one, *demands)
    assert (made.reason, made.blocked_by) == (reason, blocked_by)


def test_a_group_whose_queue_went_to_the_next_one_says_so() -> None:
    spot = group(name="spot", memory=REFUSED)
    made = plan([spot, group(name="on-demand", rank=1)], [queue(4)], NOW)
    assert [one.blocked_by for one in made.groups] == ["backoff", ""]
    assert made.groups[0].waits_for == LATER


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param(
            {"starting": 2, "waiting": 198, "per_minute": 25.0},
            "2 machines starting, 198 waiting: 25 a minute expected",
            id="the-page's-words",
        ),
        pytest.param(
            {"starting": 1, "waiting": 3, "per_minute": 0.1},
            "1 machine starting, 3 waiting: one every 10 minutes expected",
            id="slow-ones",
        ),
        pytest.param(
            {"starting": 0, "waiting": 3, "per_minute": 0.0, "reason": "Held back until 10:32."},
            "3 waiting; Held back until 10:32",
            id="nothing-starts",
        ),
    ],
)
def test_outlook(given: dict[str, Any], words: str) -> None:
    assert outlook(**given) == words


def test_a_rate_is_of_busy_and_starting_slots() -> None:
    assert expected_rate(4, 46, 120.0) == 25.0
    assert expected_rate(4, 46, None) == 0.0
