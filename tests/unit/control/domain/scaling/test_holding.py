"""Which machines get no new work. An id is the rule that its row holds."""

from __future__ import annotations

import pytest

from control.domain.scaling.plan import plan
from control.domain.scaling.state import Demand, GroupNow
from tests.unit.control.domain.scaling.worlds import NOW, ago, decide, group, machine, queue

FULL = machine("full", busy_slots=4)
HALF = machine("half", busy_slots=2)
LOW = machine("low", busy_slots=1)
IDLE = machine("idle", idle_since=NOW)
HELD = machine("held", busy_slots=1, is_held=True)


@pytest.mark.parametrize(
    ("one", "demands", "held"),
    [
        pytest.param(group(IDLE), [], (), id="the-only-one-works"),
        pytest.param(group(FULL, IDLE), [], (), id="a-whole-machine-stays-free"),
        pytest.param(group(HALF, HALF, IDLE), [], ("idle",), id="the-emptiest-first"),
        pytest.param(group(HALF, LOW, IDLE), [], ("idle",), id="and-no-more-than-there-is-room"),
        pytest.param(group(HALF, HALF, IDLE), [queue(1)], (), id="room-that-is-needed-stays"),
        pytest.param(group(LOW, HALF, HELD), [], ("held",), id="who-is-held-stays-held"),
        pytest.param(group(FULL, HELD), [queue(2)], (), id="all-are-asked-when-work-waits"),
        pytest.param(
            group(HALF, HALF, IDLE, cloud_read_at=ago(61)), [], (), id="not-on-an-old-list"
        ),
    ],
)
def test_holds(one: GroupNow, demands: list[Demand], held: tuple[str, ...]) -> None:
    assert decide(one, *demands).hold == held


def test_a_held_machine_takes_work_before_anything_is_launched() -> None:
    assert decide(group(FULL, HELD), queue(3)).launch == 0
    assert decide(group(FULL, HELD), queue(4)).launch == 1


def test_the_dearest_machines_are_held_first() -> None:
    cheap = group(machine("a"), machine("b"), name="spot", price=0.4)
    dear = group(HALF, name="on-demand", rank=1)
    assert [one.hold for one in plan([cheap, dear], [], NOW).groups][1] == ("half",)
