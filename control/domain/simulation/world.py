"""What a simulated day is made of: work that arrives, clouds that give and refuse, and a policy.

Times are seconds since the day began, money is US dollars. Chance comes from dice that the caller
brings, so a day with the same dice is the same day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from control.domain.scaling.state import Demand, GroupNow, GroupPolicy

BEGIN = datetime(2030, 1, 7, tzinfo=UTC)
"""A simulated day begins here: a Monday, and not the end of a month."""


class Dice(Protocol):
    """Chance, such as random.Random(seed)."""

    def random(self) -> float:
        """Answer a number from 0 up to, and without, 1."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """One execution: when it is submitted, and how long it runs."""

    at: float
    duration_s: float
    slots: int = 1
    environment: str = "e1"
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Offering:
    """How the cloud behaves towards one group."""

    policy: GroupPolicy
    boot_s: tuple[float, float] = (120.0, 195.0)  # from launch to join, evenly spread
    refusal: float = 0.0  # chance that a launch is refused
    closed: tuple[tuple[float, float], ...] = ()  # from, until: every launch is refused
    dead: float = 0.0  # chance that a machine never joins
    reclaims_an_hour: float = 0.0  # of each machine
    raids: tuple[tuple[float, float], ...] = ()  # at, share of the machines taken back together


@dataclass(frozen=True, slots=True)
class Day:
    """A recorded or made-up day."""

    name: str
    work: tuple[Work, ...]  # oldest first
    offerings: tuple[Offering, ...]
    length_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a policy sees of one group."""

    now: GroupNow
    desired: int  # size that the cloud was last told
    refused_at: float | None = None  # the last refusal that became known
    launched_at: float | None = None  # the last time the size was raised
    drained_at: float | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """What a policy wants of one group."""

    size: int
    drain: tuple[str, ...] = ()
    undrain: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()  # get no new work


Decide = Callable[[Sequence[Seen], Sequence[Demand], float], Sequence[Orders]]


@dataclass(frozen=True, slots=True)
class Policy:
    """A rule for the size of groups, and the manners of the system around it."""

    name: str
    decide: Decide
    period_s: float = 10.0  # it looks this often
    after_submit_s: float | None = None  # and so long after a submit; None: it does not
    engine_s: float = 0.0  # from the decision until the cloud knows
    has_group: bool = True  # the cloud keeps a size: tries again and replaces what it took back
    heeds_notices: bool = True  # gives a machine no work once the cloud announced its end
    learns: bool = False  # keeps a GroupMemory
    boot_limit_s: float | None = None  # one that has not joined is ended; None: the group's grace


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of the picture."""

    at: float
    queued: int
    wanted: int  # machines
    live: int  # machines
    busy: int  # machines with work


@dataclass(frozen=True, slots=True)
class Result:
    """How a day went. Waits run from submit to the start of the run that ended well."""

    policy: str
    waits_s: tuple[float, ...]  # sorted
    cost: float
    machines: int
    refused: int  # launches that the cloud refused
    dead: int  # machines that never joined
    reclaimed: int
    lost_runs: int  # runs that a reclaim cut short
    busy_kills: int  # runs that we cut short: never
    undrained: int
    unfinished: int
    ended_at: float
    samples: tuple[Sample, ...] = ()

    def wait_s(self, share: float) -> float:
        """Answer the wait at `share` of the sorted waits, by nearest rank; 0 without any."""
        if not self.waits_s:
            return 0.0
        return self.waits_s[min(len(self.waits_s) - 1, int(share * len(self.waits_s)))]
