"""The phase time-line: one bar that shows where the time went (AG-2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    began: datetime | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Phases of the newest attempt, in the order they began."""

    parts: Sequence[Part]

    @property
    def total(self) -> float:
        """Seconds of all parts."""
        return sum(part.seconds for part in self.parts)


def timeline(row: Any, phases: Sequence[Any], now: datetime) -> Timeline:
    """Build the bar of an execution: its wait in the queue, then the newest attempt's phases."""
    spans = list(_spans(row, phases, now))
    widths = _widths([seconds for _, _, _, seconds, _ in spans])
    parts: list[Part] = []
    x = 0.0
    for (name, began, lasts, seconds, progress), width in zip(spans, widths, strict=True):
        since = began if lasts else None
        parts.append(Part(name, WORDS[name], seconds, x, width, since, progress, began))
        x = round(x + width, 1)
    return Timeline(parts)


def _spans(
    row: Any, phases: Sequence[Any], now: datetime
) -> Iterator[tuple[str, datetime, bool, float, str]]:
    """Each phase: name, when it began, whether it still lasts, seconds, progress in words."""
    end = row.end_time or now
    if row.queued_at is not None:
        taken = row.started_at or row.end_time
        seconds = ((taken or now) - row.queued_at).total_seconds()
        yield "queued", row.queued_at, not taken, max(0.0, seconds), ""
    for phase in phases:
        if phase.name not in WORDS or phase.name == "queued":
            continue
        lasts = phase.ended_at is None and row.end_time is None
        seconds = max(0.0, ((phase.ended_at or end) - phase.started_at).total_seconds())
        yield phase.name, phase.started_at, lasts, seconds, _progress(phase)


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
    if row.ended_at is not None:
        total = row.total
        if row.unit == "bytes":
            return formats.size(total)
        unit = "file" if (row.unit, total) == ("files", 1) else row.unit
        return f"{formats.whole(total)} {unit}"
    if row.unit == "bytes":
        return f"{formats.size(row.done)} of {formats.size(row.total)}"
    return f"{formats.whole(row.done)} of {formats.whole(row.total)} {row.unit}".strip()
