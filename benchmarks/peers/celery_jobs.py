"""Celery with its defaults, results off."""

from __future__ import annotations

import os

import celery
import record

app = celery.Celery("celery_jobs", broker=os.environ["REDIS_URL"])
app.conf.task_ignore_result = True


@app.task(name="record")
def noop(i: int) -> None:
    """Run the job."""
    record.record(i)


def submit(i: int) -> None:
    """Send one task."""
    noop.delay(i)
