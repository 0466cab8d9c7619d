"""The producer of one peer: `driver.py MODULE setup|submit|latency COUNT`, one JSON line out.

submit: COUNT jobs one after another, no worker up; jobs a second.
latency: one job at a time on an idle system, random gaps of 10-50 ms; from just before the
call to the job's first instruction, in milliseconds.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import random
import sys
import time
from types import ModuleType

import record

JOB_LIMIT_S = 15.0
POLL_S = 0.0002


def _wait_for(entry_count: int) -> None:
    end = time.monotonic() + JOB_LIMIT_S
    while record.count() < entry_count:
        if time.monotonic() > end:
            raise SystemExit(f"job {entry_count} never ran")
        time.sleep(POLL_S)


def latency(peer: ModuleType, job_count: int) -> dict[str, list[float]]:
    """Measure the hand-off of single jobs."""
    waits_ms = []
    for i in range(job_count):
        before = record.count()
        began = time.monotonic_ns()
        peer.submit(i)
        _wait_for(before + 1)
        waits_ms.append((record.entries()[-1][1] - began) / 1e6)
        time.sleep(random.uniform(0.01, 0.05))
    return {"ms": waits_ms}


def submit(peer: ModuleType, job_count: int) -> dict[str, float]:
    """Measure the rate of one producer."""
    began = time.monotonic()
    if hasattr(peer, "submit_all"):
        asyncio.run(peer.submit_all(job_count))
    else:
        for i in range(job_count):
            peer.submit(i)
    return {"per_s": job_count / (time.monotonic() - began)}


def main() -> None:
    """Run one measure of one peer."""
    peer = importlib.import_module(sys.argv[1])
    action, count = sys.argv[2], int(sys.argv[3])
    if action == "setup":
        getattr(peer, "setup", lambda: None)()
        result: dict = {}
    else:
        result = {"submit": submit, "latency": latency}[action](peer, count)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
