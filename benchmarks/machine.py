"""What the machine is, whether it is quiet, and the statistics of a sample.

Absolute figures belong to one machine and one hour; they are printed with the
machine they came from, and only ratios of one session are judged.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

QUIET_SHARE = 0.15
SAMPLE_S = 0.4


@dataclass(frozen=True, slots=True)
class Summary:
    """Median, least and greatest of the rounds."""

    median: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{figure(self.median)} ({figure(self.low)}-{figure(self.high)})"


def figure(value: float) -> str:
    """Write a number with three significant digits, thousands grouped."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def summary(rounds: Sequence[float]) -> Summary:
    """Summarise the figures of the rounds; at least one is needed."""
    return Summary(statistics.median(rounds), min(rounds), max(rounds), len(rounds))


def percentile(samples: Sequence[float], share: float) -> float:
    """Answer the sample at `share` of the sorted samples (nearest rank)."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _cpu_ticks() -> tuple[int, int]:
    with Path("/proc/stat").open() as stat:
        ticks = [int(field) for field in stat.readline().split()[1:]]
    return sum(ticks), ticks[3] + ticks[4]


def busy_share(sample_s: float = SAMPLE_S) -> float:
    """Measure the share of all processors in use now, from 0 to 1. Takes `sample_s`."""
    total, idle = _cpu_ticks()
    time.sleep(sample_s)
    total_after, idle_after = _cpu_ticks()
    return round(1 - (idle_after - idle) / max(1, total_after - total), 3)


def wait_quiet(limit_s: float) -> float:
    """Wait until the machine is idle, at most `limit_s`; answer the last busy share."""
    end = time.monotonic() + limit_s
    share = busy_share()
    while share > QUIET_SHARE and time.monotonic() < end:
        share = busy_share()
    return share


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def describe() -> dict[str, object]:
    """Describe this machine for the result file."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processors": os.cpu_count(),
        "processor": _processor(),
        "memory_bytes": pages,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def as_json(summaries: dict[str, Summary]) -> dict[str, object]:
    """Turn named summaries into plain values for the result file."""
    return {name: asdict(value) for name, value in summaries.items()}
