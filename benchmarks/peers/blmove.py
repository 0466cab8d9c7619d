"""The floor: LPUSH, BLMOVE to a processing list, LREM, with plain redis-py and hiredis."""

from __future__ import annotations

import json
import os

import record
import redis

server = redis.Redis.from_url(os.environ["REDIS_URL"])


def submit(i: int) -> None:
    """Push one job."""
    server.lpush("floor:queue", json.dumps({"i": i}))


def work() -> None:
    """Take jobs for ever, one at a time."""
    mine = f"floor:taken:{os.getpid()}"
    while True:
        job = server.blmove("floor:queue", mine, 1, "RIGHT", "LEFT")
        if job:
            record.record(json.loads(job)["i"])
            server.lrem(mine, 1, job)


if __name__ == "__main__":
    work()
