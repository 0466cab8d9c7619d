"""Times of log lines as text: `2030-01-02T03:04:05.678901`, UTC; text order is time order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

STAMP = 26
"""Length of such a time."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stamp_of(micros: int) -> bytes:
    """Write microseconds since 1970."""
    moment = EPOCH + timedelta(microseconds=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f").encode()


def micros_of(stamp: bytes) -> int:
    """Read what `stamp_of` wrote."""
    moment = datetime.fromisoformat(stamp.decode()).replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)


def later_than(stamp: bytes, last: bytes) -> bytes:
    """Give `stamp`, or one microsecond after `last` where that is not later."""
    if stamp > last:
        return stamp
    micro = int(last[20:26])
    if micro < 999_999:
        return b"%s%06d" % (last[:20], micro + 1)
    return stamp_of(micros_of(last) + 1)
