"""Simulated time: what is due, in order."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from control.domain.simulation.world import Dice

Happen = Callable[[], None]


@dataclass(slots=True)
class Clock:
    """What is due and when, in seconds of the day; what is due together happens as it was asked."""

    dice: Dice
    at: float = 0.0
    numbers: int = 0
    due: list[tuple[float, int, Happen]] = field(default_factory=list[tuple[float, int, Happen]])

    def after(self, delay_s: float, happen: Happen) -> None:
        """Let something happen later."""
        heapq.heappush(self.due, (self.at + delay_s, self.number(), happen))

    def soon(self, least_s: float, most_s: float, happen: Happen) -> None:
        """Let something happen within a span, evenly spread."""
        self.after(least_s + (most_s - least_s) * self.dice.random(), happen)

    def number(self) -> int:
        """Answer a number that was not answered before."""
        self.numbers += 1
        return self.numbers

    def step(self) -> Happen:
        """Go on to the next moment; answer what happens then."""
        self.at, _, happen = heapq.heappop(self.due)
        return happen
