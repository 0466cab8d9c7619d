"""minique, the nearest relative of what we build, with its defaults."""

from __future__ import annotations

import os

from minique.api import enqueue
from redis import Redis

server = Redis.from_url(os.environ["REDIS_URL"])


def submit(i: int) -> None:
    """Enqueue one job."""
    enqueue(redis=server, queue_name="work", callable="record.record", kwargs={"i": i})
