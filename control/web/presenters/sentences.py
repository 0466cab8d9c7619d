"""The answer first: one sentence that says what an execution does, why, and what is next."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from control.domain.states import REASONS, Status
from control.web import formats

_DOING = {
    "code": "fetching the code",
    "inputs": "fetching the inputs",
    "image": "getting the image",
    "run": "running the command",
    "outputs": "storing the outputs",
}


def sentence(row: Any, wait_reason: str | None, now: datetime) -> str:
    """Say it, without the word that the chip before it shows."""
    status = Status(row.status)
    if status in (Status.CREATED, Status.QUEUED):
        return _capital((wait_reason or "In the queue.").removeprefix("Waiting: "))
    if status == Status.STARTED:
        return _working(row)
    if status == Status.STOPPING:
        by = f" by {row.stop_requested_by}" if row.stop_requested_by else ""
        asked = formats.ago(row.stop_requested_at, now)
        return f"Asked{by} {asked}; the command is given time to end."
    if status == Status.COMPLETE:
        return _done(row)
    return _ended(row)


def _working(row: Any) -> str:
    doing = _DOING.get(row.phase, "working")
    again = f" This is attempt {row.attempt_count}." if row.attempt_count > 1 else ""
    detail = f" {row.status_detail}" if row.status_detail else ""
    where = f"On {row.worker_name}: {doing}" if row.worker_name else _capital(doing)
    return f"{where}.{detail}{again}"


def _done(row: Any) -> str:
    took = formats.duration((row.end_time - row.started_at).total_seconds())
    outputs = formats.plural(row.output_count, "output") if row.output_count else "no outputs"
    early = ""
    if row.reason == "stopped_by_condition":
        early = f" {REASONS['stopped_by_condition'].sentence}"
    return f"Took {took} and stored {outputs}.{early}"


def _ended(row: Any) -> str:
    known = REASONS.get(row.reason or "")
    said = row.sentence or (known.sentence if known else "It ended without saying why.")
    if row.status == Status.CRASHED:
        tries = f" It was tried {row.attempt_count} times." if row.attempt_count > 1 else ""
        fault = "" if known and known.fault == "user" else " This was not your code."
        return f"{said}{fault}{tries}"
    return str(said)


def next_step(row: Any) -> str:
    """Say what one does next about a failure; empty when there is nothing to say."""
    return _NEXT.get(row.reason or "", "") if row.status in (Status.ERROR, Status.CRASHED) else ""


_NEXT = {
    "exit_nonzero": "The end of the log below says what failed; correct it and run a copy.",
    "oom": "Run a copy on an environment with more memory, or use less.",
    "time_limit": "Run a copy with a longer time limit.",
    "no_output_timeout": "Print a line now and then, or run a copy with a longer limit.",
    "input_download_failed": "Check the address and the rights of the input, then run a copy.",
    "image_pull_failed": "Check the image's name and the registry's credentials, then run a copy.",
    "container_create_failed": "The log below has the engine's own words.",
    "disk_full": "An operator can free space on the worker; then run a copy.",
    "environment_disabled": "Run a copy on another environment.",
    "worker_lost": "Run a copy: another worker takes it.",
    "agent_restarted": "Run a copy: another worker takes it.",
    "agent_stopped": "Run a copy when a worker is there again.",
}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
