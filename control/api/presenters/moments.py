"""Times and prices as clients read them (client-contract.md 1.9)."""

from __future__ import annotations

from datetime import datetime


def moment(time: datetime | None) -> str | None:
    """Write a time of ours: UTC, six fractional digits, `Z`."""
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}Z" if time is not None else None


def commit_moment(time: datetime) -> str:
    """Write the time of a commit: Git knows only seconds."""
    return f"{time:%Y-%m-%dT%H:%M:%S}Z" if not time.microsecond else str(moment(time))


def price(usd_per_hour: float) -> str:
    """Write a price the way clients expect it: a string with five decimals."""
    return f"{usd_per_hour:.5f}"
