"""Made-up days, by name, and their clouds. Every number is written here; chance is the dice's.

The shapes are our own choice, fitted to no recorded cluster: most executions are short and few
are long, so durations are log-normal; people submit by day, in batches; automation submits around
the clock. `talkoot simulate FILE` plays a recorded day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import cos, exp, log, pi, sqrt

from control.domain.scaling.state import GroupPolicy
from control.domain.simulation.world import Day, Dice, Offering, Work

LENGTH_S = 86_400.0
LAST_S = 79_200.0  # nothing is submitted in the last two hours, so that groups empty
SLOTS = 4

SPOT = GroupPolicy(
    name="spot", environments=("e1",), rank=0, slots=SLOTS, minimum=0, maximum=60, price=0.40
)
SIBLING = GroupPolicy(
    name="sibling", environments=("e1",), rank=1, slots=SLOTS, minimum=0, maximum=60, price=0.45
)
ON_DEMAND = GroupPolicy(
    name="on-demand", environments=("e1",), rank=2, slots=SLOTS, minimum=0, maximum=60, price=1.00
)
"""The ladder of offerings: spot, spot of a sibling type, on-demand (infrastructure.md 3.3, 8)."""


def _half_hours(*hours: float) -> tuple[tuple[float, float], ...]:
    return tuple((hour * 3600.0, hour * 3600.0 + 1800.0) for hour in hours)


CLOSED = {"spot": _half_hours(3, 7, 11, 15, 19), "sibling": _half_hours(1, 7.25, 13, 17, 21)}
"""Half hours without a spot machine to give; at 7:15 both types have none."""

RAIDS = {
    "spot": tuple((hour * 3600.0, 0.5) for hour in (2.25, 5.25, 9.25, 9.4, 9.55, 13.25, 16.25)),
    "sibling": tuple((hour * 3600.0, 0.5) for hour in (4.5, 9.5, 12.5, 14.5, 18.5)),
}
"""On the day of reclaims: times at which the cloud takes half of a type's spot machines back.

Around half past nine it comes back three times: who launches the same type at once loses it again.
"""


def normal(dice: Dice) -> float:
    """Throw a standard normal number (Box and Muller)."""
    return sqrt(-2 * log(1 - dice.random())) * cos(2 * pi * dice.random())


def duration_s(dice: Dice, median_s: float, spread: float) -> float:
    """Throw a log-normal duration, between 20 s and four hours."""
    return min(14_400.0, max(20.0, median_s * exp(spread * normal(dice))))


def gaps(dice: Dice, rate: Callable[[float], float], most: float) -> Iterator[float]:
    """Throw arrivals of a Poisson stream whose rate, a second, is at most `most` (thinning)."""
    at = 0.0
    while True:
        at -= log(1 - dice.random()) / most
        if at >= LAST_S:
            return
        if dice.random() * most < rate(at):
            yield at


def _offerings(*, reclaims_an_hour: float, has_raids: bool) -> tuple[Offering, ...]:
    spot = tuple(
        Offering(
            policy,
            refusal=0.05,
            closed=CLOSED[policy.name],
            dead=0.02,
            reclaims_an_hour=reclaims_an_hour,
            raids=RAIDS[policy.name] if has_raids else (),
        )
        for policy in (SPOT, SIBLING)
    )
    return (*spot, Offering(ON_DEMAND, refusal=0.01, dead=0.02))


def _stream(dice: Dice, an_hour: float, median_s: float) -> list[Work]:
    """Submit around the clock, 1 execution in 5 with 2 slots."""
    return [
        Work(at, duration_s(dice, median_s, 1.0), 2 if dice.random() < 0.2 else 1)
        for at in gaps(dice, lambda _: an_hour / 3600, an_hour / 3600)
    ]


def steady(dice: Dice) -> Day:
    """Two thousand executions evenly over the day, five minutes each by the median."""
    return Day(
        "steady", tuple(_stream(dice, 91, 300)), _offerings(reclaims_an_hour=0.02, has_raids=False)
    )


def bursty(dice: Dice) -> Day:
    """Sweeps of 60 to 240 executions in working hours, on a thin stream."""
    work = _stream(dice, 15, 300)
    for at in gaps(dice, lambda at: (1.5 if 8 <= at / 3600 < 19 else 0.25) / 3600, 1.5 / 3600):
        median_s = 120 + 480 * dice.random()
        work += [
            Work(at + 60 * dice.random(), duration_s(dice, median_s, 0.5))
            for _ in range(60 + int(180 * dice.random()))
        ]
    work.sort(key=lambda one: one.at)
    return Day("bursty", tuple(work), _offerings(reclaims_an_hour=0.02, has_raids=False))


def reclaims(dice: Dice) -> Day:
    """A stream with a hump by day, while the cloud takes its spot machines back again and again."""
    work = [
        Work(at, duration_s(dice, 600, 0.8))
        for at in gaps(dice, lambda at: (60 - 50 * cos(2 * pi * at / LENGTH_S)) / 3600, 110 / 3600)
    ]
    return Day("reclaims", tuple(work), _offerings(reclaims_an_hour=0.3, has_raids=True))


DAYS: dict[str, Callable[[Dice], Day]] = {"steady": steady, "bursty": bursty, "reclaims": reclaims}
"""By the names of the command line."""


def recorded(name: str, work: tuple[Work, ...]) -> Day:
    """Put recorded work on the same clouds; their groups serve every environment of it."""
    served = tuple(sorted({one.environment for one in work}))
    offerings = tuple(
        replace(one, policy=replace(one.policy, environments=served))
        for one in _offerings(reclaims_an_hour=0.02, has_raids=False)
    )
    last = max(one.at for one in work)
    return Day(name, work, offerings, length_s=max(LENGTH_S, last + LENGTH_S - LAST_S))
