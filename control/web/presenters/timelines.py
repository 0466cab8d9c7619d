"""The phase time-line: one bar that shows where the time went (AG-2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.web import formats

WORDS = {
    "queued": "Queued",
    "code": "Code",
    "inputs": "Inputs",
    "image": "Image",
    "run": "Run",
    "outputs": "Outputs",
}
_WIDTH = 1000
_LEAST = 6
"""Units of the bar's width that even the shortest phase gets: it can be seen and pointed at."""


@dataclass(frozen=True, slots=True)
class Part:
    """One phase. `x` and `width` are of 1000; `since` is set while it lasts."""

    name: str
    word: str
    seconds: float
    x: float
    width: float
    since: datetime | None
    progress: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Phases of the newest attempt, in the order they began."""

    parts: Sequence[Part]

    @property
    def total(self) -> float:
        """Seconds of all parts."""
        return sum(part.seconds for part in self.parts)


def timeline(rows: Sequence[Any], now: datetime) -> Timeline:
    """Build the bar from rows of the table `phases`; waiting counts once, then the last attempt."""
    last = max((row.attempt_number for row in rows), default=0)
    chosen = [row for row in rows if row.attempt_number in (0, last) and row.name in WORDS]
    chosen.sort(key=lambda row: row.started_at)
    lengths = [max(0.0, ((row.ended_at or now) - row.started_at).total_seconds()) for row in chosen]
    widths = _widths(lengths)
    parts: list[Part] = []
    x = 0.0
    for row, seconds, width in zip(chosen, lengths, widths, strict=True):
        since = None if row.ended_at else row.started_at
        parts.append(Part(row.name, WORDS[row.name], seconds, x, width, since, _progress(row)))
        x = round(x + width, 1)
    return Timeline(parts)


def _widths(lengths: list[float]) -> list[float]:
    total = sum(lengths)
    if not total:
        return [round(_WIDTH / len(lengths), 1) for _ in lengths]
    raw = [max(_LEAST, length / total * _WIDTH) for length in lengths]
    scale = _WIDTH / sum(raw)
    return [round(width * scale, 1) for width in raw]


def _progress(row: Any) -> str:
    if not row.total:
        return ""
    if row.unit == "bytes":
        return f"{formats.size(row.done)} of {formats.size(row.total)}"
    return f"{formats.whole(row.done)} of {formats.whole(row.total)} {row.unit}".strip()
