"""The simulated queue: what waits, by environment and shape, oldest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from control.domain.scaling.state import Demand
from control.domain.simulation.world import Work


@dataclass(slots=True)
class Waiting:
    """A first-in, first-out queue for each environment and number of slots."""

    shapes: dict[tuple[str, int], deque[Work]] = field(
        default_factory=dict[tuple[str, int], deque[Work]]
    )
    count: int = 0

    def add(self, work: Work) -> None:
        """Put work at the end."""
        self.shapes.setdefault((work.environment, work.slots), deque()).append(work)
        self.count += 1

    def put_back(self, work: Work) -> None:
        """Put work whose run was cut short at the front."""
        self.shapes.setdefault((work.environment, work.slots), deque()).appendleft(work)
        self.count += 1

    def take(self, environments: Iterable[str], slots: int) -> Work | None:
        """Take the oldest work that fits `slots` free slots; None when nothing does."""
        if not self.count:
            return None
        best: deque[Work] | None = None
        for (environment, needed), line in self.shapes.items():
            if not line or needed > slots or environment not in environments:
                continue
            if best is None or line[0].at < best[0].at:
                best = line
        if best is None:
            return None
        self.count -= 1
        return best.popleft()

    def demands(self) -> list[Demand]:
        """Count what waits, by shape."""
        return [
            Demand(environment, slots, len(line))
            for (environment, slots), line in self.shapes.items()
            if line
        ]
