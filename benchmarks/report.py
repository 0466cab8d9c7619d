"""What a bench found: figure, peer, ratio and bar, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import Summary, figure

RED, GREEN, PLAIN = "\033[31m", "\033[32m", "\033[0m"


@dataclass(frozen=True, slots=True)
class Bar:
    """One comparison. `limit` is a ratio of ours to the peer's, taken in the same session.

    A goal is where we want to end; missing it is shown and does not fail the bench.
    """

    name: str
    unit: str
    ours: Summary
    peer_name: str
    peer: Summary
    limit: float
    at_most: bool
    is_goal: bool = False

    @property
    def ratio(self) -> float:
        """Answer ours divided by the peer's, medians of the rounds."""
        return self.ours.median / self.peer.median

    @property
    def is_met(self) -> bool:
        """Tell whether the ratio is on the right side of the limit."""
        return self.ratio <= self.limit if self.at_most else self.ratio >= self.limit

    @property
    def verdict(self) -> str:
        """Answer met or missed, and whether it is only a goal."""
        kind = "goal " if self.is_goal else ""
        return f"{kind}{'met' if self.is_met else 'missed'}"

    def wanted(self) -> str:
        """Write the limit as people read it."""
        return f"{'<=' if self.at_most else '>='} {self.limit:g} x"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that must be true, such as that no line was lost."""

    name: str
    holds: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that one bench found. `error` says why there are no figures."""

    bench: str
    bars: tuple[Bar, ...] = ()
    facts: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""

    @property
    def is_met(self) -> bool:
        """Tell whether every bar that is no goal is met and every fact holds."""
        bars_met = all(bar.is_met for bar in self.bars if not bar.is_goal)
        return bars_met and all(fact.holds for fact in self.facts) and not self.error


def _paint(text: str, is_met: bool, is_colour: bool) -> str:
    return f"{GREEN if is_met else RED}{text}{PLAIN}" if is_colour else text


def lines(outcome: Outcome, is_colour: bool) -> list[str]:
    """Write an outcome as lines of text."""
    written = [f"{outcome.bench}"]
    for bar in outcome.bars:
        verdict = _paint(bar.verdict, bar.is_met, is_colour)
        written.append(f"  {bar.name}: {bar.ours} {bar.unit}")
        written.append(
            f"    {bar.peer_name}: {bar.peer} {bar.unit};"
            f" ratio {figure(bar.ratio)}, bar {bar.wanted()}: {verdict}"
        )
    for fact in outcome.facts:
        verdict = _paint("met" if fact.holds else "missed", fact.holds, is_colour)
        written.append(f"  {fact.name}: {fact.sentence} {verdict}")
    written.extend(f"  {note}" for note in outcome.notes)
    if outcome.error:
        written.append(f"  {_paint('not measured', False, is_colour)}: {outcome.error}")
    return written


def missed(outcomes: Sequence[Outcome]) -> list[str]:
    """Name what was missed, one sentence each."""
    named = []
    for outcome in outcomes:
        if outcome.error:
            named.append(f"{outcome.bench}: not measured, {outcome.error}")
        named += [
            f"{outcome.bench}: {bar.name} is {figure(bar.ratio)} x {bar.peer_name}, {bar.wanted()}"
            f" is {'the goal' if bar.is_goal else 'the bar'}"
            for bar in outcome.bars
            if not bar.is_met
        ]
        named += [f"{outcome.bench}: {fact.sentence}" for fact in outcome.facts if not fact.holds]
    return named


def _as_plain(outcome: Outcome) -> dict[str, Any]:
    plain = asdict(outcome)
    for written, bar in zip(plain["bars"], outcome.bars, strict=True):
        written |= {"ratio": bar.ratio, "is_met": bar.is_met}
    return plain | {"is_met": outcome.is_met}


def save(path: Path, outcomes: Sequence[Outcome], session: dict[str, object]) -> None:
    """Write the result file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {"session": session, "benches": [_as_plain(outcome) for outcome in outcomes]}
    path.write_text(json.dumps(found, indent=1) + "\n")
