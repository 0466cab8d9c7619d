"""Times and prices as clients read them (client-contract.md 1.9)."""

from __future__ import annotations

from datetime import datetime

LENGTH = len("2026-01-31T12:00:00.000000")
"""Signs of a time without its zone, which is UTC."""


def moment(time: datetime | None) -> str | None:
    """Write a time of ours: UTC, six fractional digits, `Z`."""
    return f"{time.isoformat(timespec='microseconds')[:LENGTH]}Z" if time is not None else None


def commit_moment(time: datetime) -> str:
    """Write the time of a commit: Git knows only seconds."""
    return f"{time:%Y-%m-%dT%H:%M:%S}Z" if not time.microsecond else str(moment(time))


def price(usd_per_hour: float) -> str:
    """Write a price the way clients expect it: a string with five decimals."""
    return f"{usd_per_hour:.5f}"
