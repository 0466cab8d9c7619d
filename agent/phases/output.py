"""The shape in which a runtime gives a step's output and the log takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines in wire format, their times strictly increasing, and where the source goes on.

    `is_end`: the step has ended and nothing follows.
    """

    block: bytes
    position: Any
    is_end: bool = False


class Source(Protocol):
    """The output of one step, readable again from any position it ever gave."""

    def read(self, position: Any, wait_s: float) -> Chunk:
        """Give what follows `position` (None: from the start), waiting a while for more."""
        ...

    def close(self) -> None:
        """Give up what is open."""
        ...
