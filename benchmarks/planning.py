"""Deciding on worker groups: a hundred groups at once, a day simulated, and the peers' rules.

plan      100 groups, 20,000 and 1,000,000 queued: both more than is free, so the same work
simulate  simulated time beside the time it took
policies  p95 wait against machine cost on three days with failures, mean of five dice
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from benchmarks.machine import Summary, summary
from benchmarks.report import Bar, Fact, Outcome
from benchmarks.session import Session
from control.domain.scaling.plan import plan
from control.domain.scaling.state import (
    Demand,
    GroupMemory,
    GroupNow,
    GroupPolicy,
    Machine,
    MachineState,
)
from control.domain.simulation.days import DAYS
from control.domain.simulation.policies import POLICIES
from control.domain.simulation.run import simulate
from control.domain.simulation.world import Result

NOW = datetime(2030, 1, 2, tzinfo=UTC)
GROUPS, MACHINES, SHAPES = 100, 20, 4
PLAN_LIMIT_MS = 20.0
FEW = 20_000
"""More than the 4,000 free slots: with less, nothing opens and most of the plan is left out."""
SPEED_LIMIT = 10_000.0
SEEDS = 5


def _groups() -> list[GroupNow]:
    began = NOW - timedelta(hours=1)
    return [
        GroupNow(
            GroupPolicy(f"g{number}", (f"e{number // 2}",), number % 2, 4, 0, 50, 1.0),
            GroupMemory(),
            tuple(
                Machine(
                    f"m{one}", MachineState.READY, 4, one % 5, began, None if one % 5 else began
                )
                for one in range(MACHINES)
            ),
            cloud_read_at=NOW,
            registry_read_at=NOW,
        )
        for number in range(GROUPS)
    ]


def _demands(queued: int) -> list[Demand]:
    shapes = GROUPS // 2 * SHAPES
    return [
        Demand(f"e{shape % (GROUPS // 2)}", 1 + shape % SHAPES, queued // shapes, shape % 2)
        for shape in range(shapes)
    ]


def _timed_ms(run: Callable[[], object], rounds: int) -> Summary:
    took: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        took.append((time.perf_counter() - began) * 1000)
    return summary(took)


def _fixed(value: float) -> Summary:
    return Summary(value, value, value, 1)


def _planning(session: Session) -> tuple[Bar, ...]:
    groups, rounds = _groups(), session.sized(50, 5)
    few, many = _demands(FEW), _demands(1_000_000)
    session.wait_quiet()
    of_few = _timed_ms(lambda: plan(groups, few, NOW), rounds)
    of_many = _timed_ms(lambda: plan(groups, many, NOW), rounds)
    limit = _fixed(PLAN_LIMIT_MS)
    return (
        Bar("100 groups planned, 1,000,000 queued", "ms", of_many, "limit", limit, 1.0, True),
        Bar("1,000,000 queued", "ms", of_many, "20,000 queued", of_few, 1.2, True),
    )


def _days(session: Session) -> tuple[dict[tuple[str, str], list[Result]], list[float]]:
    seeds = session.sized(SEEDS, 1)
    results: dict[tuple[str, str], list[Result]] = {}
    speeds: list[float] = []
    for name, make in DAYS.items():
        for policy in POLICIES.values():
            played: list[Result] = []
            for seed in range(1, seeds + 1):
                day = make(random.Random(seed))
                began = time.perf_counter()
                played.append(simulate(day, policy, random.Random(seed)))
                if policy.name == "ours":
                    speeds.append(played[-1].ended_at / (time.perf_counter() - began))
            results[name, policy.name] = played
    return results, speeds


def _mean(results: list[Result]) -> tuple[float, float, float]:
    count = len(results)
    return (
        sum(result.wait_s(0.5) for result in results) / count,
        sum(result.wait_s(0.95) for result in results) / count,
        sum(result.cost for result in results) / count,
    )


def _is_dominated(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return other[0] <= one[0] and other[1] <= one[1] and other != one


def _facts(means: dict[tuple[str, str], tuple[float, float, float]]) -> list[Fact]:
    facts: list[Fact] = []
    beaten: dict[str, list[str]] = {}
    for day in DAYS:
        ours = means[day, "ours"][1:]
        peers = {name: means[day, name][1:] for name in POLICIES if name != "ours"}
        above = [name for name, theirs in peers.items() if _is_dominated(ours, theirs)]
        beaten[day] = [name for name, theirs in peers.items() if _is_dominated(theirs, ours)]
        said = f"dominated by {', '.join(above)}" if above else "dominated by nobody"
        facts.append(Fact(f"ours on the {day} day", not above, said))
    most = max(beaten, key=lambda day: len(beaten[day]))
    words = "; ".join(f"{day}: {', '.join(there) or 'nobody'}" for day, there in beaten.items())
    is_best = len(beaten[most]) == len(POLICIES) - 1
    return [*facts, Fact("shorter waits and less money than every peer on a day", is_best, words)]


def measure(session: Session) -> Outcome:
    """Plan, simulate, and compare the policies."""
    bars = _planning(session)
    results, speeds = _days(session)
    means = {key: _mean(played) for key, played in results.items()}
    speed = Bar(
        "a day simulated", "x real time", summary(speeds), "limit", _fixed(SPEED_LIMIT), 1.0, False
    )
    rows = [
        f"{day:<9} {policy:<10} p50 {p50:>6,.0f} s  p95 {p95:>6,.0f} s  {cost:>7.2f} dollars"
        for (day, policy), (p50, p95, cost) in means.items()
    ]
    return Outcome("planning", (*bars, speed), tuple(_facts(means)), tuple(rows))
