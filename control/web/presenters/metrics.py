"""Metadata as metrics: a table of last and extreme values, series for curves, and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from control.web.presenters.executions import CLOCKS

MOST_POINTS = 2000
TIME = "_time"
AXES = ("step", "epoch", "iteration")
"""What may be the x axis, best last; time is always there."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One key. A text has only a last value."""

    key: str
    last: Any
    least: float | None
    greatest: float | None
    count: int
    is_clock: bool


def summary(points: Sequence[Mapping[str, Any]]) -> list[Metric]:
    """Sum up each key: measured ones first, clocks after them."""
    seen: dict[str, list[Any]] = {}
    for point in points:
        for key, value in point.items():
            if key != TIME:
                seen.setdefault(key, []).append(value)
    found = [_metric(key, values) for key, values in seen.items()]
    return sorted(found, key=lambda one: (one.least is None, one.is_clock))


def _metric(key: str, values: list[Any]) -> Metric:
    numbers = [value for value in values if is_number(value)]
    least, greatest = (min(numbers), max(numbers)) if numbers else (None, None)
    return Metric(key, values[-1], least, greatest, len(values), key in CLOCKS)


def is_number(value: Any) -> bool:
    """Say whether it can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def series(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Make the columns for curves, of at most MOST_POINTS; the last point is always kept."""
    stride = max(1, math.ceil(len(points) / MOST_POINTS))
    kept = list(points[::stride])
    if points and (len(points) - 1) % stride:
        kept.append(points[-1])
    keys = [one.key for one in summary(points) if one.least is not None]
    return {
        "time": [_seconds(point[TIME]) for point in kept],
        "series": {
            key: [point[key] if is_number(point.get(key)) else None for point in kept]
            for key in keys
        },
        "axes": [key for key in keys if key in AXES],
        "drawn": [key for key in keys if key not in CLOCKS] or keys,
        "total": len(points),
    }


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def csv_text(points: Sequence[Mapping[str, Any]]) -> str:
    """Write every point as a row; a cell that a spreadsheet would run as a formula is quoted."""
    keys = list(dict.fromkeys(key for point in points for key in point if key != TIME))
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(["time", *(_cell(key) for key in keys)])
    for point in points:
        writer.writerow([point[TIME], *(_cell(point.get(key, "")) for key in keys)])
    return target.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
