"""The job that every peer runs: append (index, monotonic ns) to the file $BENCH_RECORD.

One O_APPEND write of 16 bytes, about 2 us, counted the same way in every library, in forked
workers, and by our own bare agent.
"""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

ENTRY = struct.Struct("<qq")
_file: int | None = None


def record(i: int = 0) -> None:
    """Append one entry; the file is opened at the first call and stays open."""
    global _file
    if _file is None:
        _file = os.open(os.environ["BENCH_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(_file, ENTRY.pack(i, time.monotonic_ns()))


def count() -> int:
    """Count the entries."""
    return Path(os.environ["BENCH_RECORD"]).stat().st_size // ENTRY.size


def entries() -> list[tuple[int, int]]:
    """Read all entries, oldest first."""
    written = Path(os.environ["BENCH_RECORD"]).read_bytes()
    whole = len(written) // ENTRY.size * ENTRY.size
    return [ENTRY.unpack_from(written, offset) for offset in range(0, whole, ENTRY.size)]
