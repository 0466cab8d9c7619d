"""Dates, durations, sizes and numbers as people read them (web.md, rule 5)."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

DASH = "\N{EN DASH}"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def duration(seconds: float | None) -> str:
    """Write `0.4 s`, `12 s`, `3 min 20 s`, `1 h 04 min` or `2 d 3 h`; a dash for None."""
    if seconds is None:
        return DASH
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def ago(moment: datetime | None, now: datetime) -> str:
    """Write `just now`, `3 min ago`, `in 2 h`, `yesterday`, or the date when it is long ago."""
    if moment is None:
        return DASH
    seconds = (now - moment).total_seconds()
    if seconds < -_MINUTE:
        return f"in {_rough(-seconds)}"
    if seconds < 10:
        return "just now"
    if seconds < 14 * _DAY:
        return f"{_rough(seconds)} ago"
    return moment.strftime("%-d %b %Y")


def _rough(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{int(seconds)} s"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min"
    if seconds < _DAY:
        return f"{int(seconds // _HOUR)} h"
    days = int(seconds // _DAY)
    return "1 day" if days == 1 else f"{days} days"


def exact(moment: datetime | None) -> str:
    """Write the time for hovering, to the second, in UTC."""
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def machine_time(moment: datetime | None) -> str:
    """Write the time for the `datetime` attribute."""
    return "" if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def size(count: float | None) -> str:
    """Write bytes in binary units: `312 B`, `4.0 KiB`, `1.5 GiB`."""
    if count is None:
        return DASH
    if count < 1024:
        return f"{int(count)} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} TiB"


def parameter(value: Any) -> str:
    """Write a parameter's value as people type it: `true`, `8, 4`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(parameter(one) for one in value)
    return DASH if value is None else str(value)


def whole(count: int | None) -> str:
    """Write a count with thin spaces between thousands."""
    return DASH if count is None else f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def plural(count: int, noun: str, many: str = "") -> str:
    """Write `1 line`, `3 lines`."""
    return f"{whole(count)} {noun if count == 1 else many or noun + 's'}"


def measure(value: Any) -> str:
    """Write a metric with five significant digits; anything but a number as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return whole(value) if abs(value) < 10**9 else f"{value:.4e}"
    if not math.isfinite(value):
        return str(value)
    return f"{value:.5g}"
