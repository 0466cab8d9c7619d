"""The chart of queue, machines wanted, live and busy: as columns, in words, and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from control.services.scaling_history import VALUES, Lines
from control.web import formats
from control.web.presenters.groups import group_url

RANGES = {
    "1h": ("1 h", timedelta(hours=1)),
    "6h": ("6 h", timedelta(hours=6)),
    "1d": ("1 day", timedelta(days=1)),
    "7d": ("7 days", timedelta(days=7)),
}
DEFAULT_RANGE = "6h"
WORDS = {
    "queued": "executions waiting",
    "wanted": "machines wanted",
    "live": "machines live",
    "busy": "machines busy",
}
MOST_ROWS = 26
"""Of the table."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time range to look at, kept in the address."""

    name: str
    word: str
    since: datetime
    until: datetime


def stretch(text: str | None, now: datetime) -> Stretch:
    """Read the range; what is not known counts as not given."""
    name = text if text in RANGES else DEFAULT_RANGE
    word, length = RANGES[name]
    return Stretch(name, word, now - length, now)


def columns(lines: Lines, now_values: Mapping[str, int]) -> dict[str, Any]:
    """Make the chart's columns; the last point is what is true now."""
    times = [time.timestamp() for time in lines.times]
    return {
        "time": [*times, max(times[-1] + 1, times[-1])],
        "series": [
            {"name": name, "word": WORDS[name], "values": [*lines.values[name], now_values[name]]}
            for name in VALUES
        ],
        "total": lines.decisions,
    }


def in_words(lines: Lines, where: Stretch) -> str:
    """Say what the chart shows, for who does not see it."""
    peaks = {name: _most(lines.values[name]) for name in VALUES}
    if peaks["wanted"] is None:
        return f"No decision in the last {where.word}."
    return (
        f"In the last {where.word}: at most {formats.plural(peaks['queued'] or 0, 'execution')} "
        f"waiting, {formats.plural(peaks['wanted'] or 0, 'machine')} wanted, "
        f"{formats.whole(peaks['live'] or 0)} live, {formats.whole(peaks['busy'] or 0)} busy; "
        f"{formats.plural(lines.decisions, 'decision')}."
    )


def _most(values: Sequence[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


@dataclass(frozen=True, slots=True)
class TableRow:
    """A stretch of time with the greatest value of each line."""

    since: datetime
    values: tuple[int, ...]


def table(lines: Lines) -> list[TableRow]:
    """Make rows, newest first; nothing where nothing changed."""
    rows: list[TableRow] = []
    for at, time in enumerate(lines.times):
        values = tuple(peak for name in VALUES if (peak := lines.values[name][at]) is not None)
        if len(values) == len(VALUES) and (not rows or rows[-1].values != values):
            rows.append(TableRow(time, values))
    return rows[::-1]


# -- decisions ------------------------------------------------------------------------------------
BLOCKS = {
    "budget": "budget",
    "maximum": "at its maximum",
    "backoff": "held back",
    "breaker": "breaker open",
    "stale": "cloud not read",
    "paused": "paused",
    "burst": "first machines first",
    "avoided": "others first",
}


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A decision as a line of "why this size"."""

    id: str
    time: datetime
    group: str
    group_url: str
    change: str
    reason: str
    block: str  # "" when nothing was in the way


def decision_row(row: Any, group: str) -> DecisionRow:
    """Present a decision."""
    change = f"{formats.plural(row.wanted, 'machine')} wanted"
    if row.launch:
        change += f", {row.launch} launched"
    if row.drain:
        change += f", {len(row.drain)} drained"
    block = BLOCKS.get(row.blocked_by) or row.blocked_by
    return DecisionRow(row.id, row.time, group, group_url(group), change, row.reason, block)
