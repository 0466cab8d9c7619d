"""A recorded day as text: CSV with a header, or JSON lines, an execution a line.

`at_s` (seconds since the day began) and `duration_s` are needed; `slots` is 1 and `environment`
is `e1` when they are left out.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping

from control.domain.errors import Invalid
from control.domain.simulation.world import Work

NEEDED = ("at_s", "duration_s")


def parse(text: str) -> tuple[Work, ...]:
    """Read a trace, oldest first. Raises Invalid with the line's number and what it lacks."""
    is_json = text.lstrip().startswith("{")
    work = [_work(number, row) for number, row in (_json(text) if is_json else _csv(text))]
    if not work:
        raise Invalid.one("trace", "It has no executions: a header and a line for each are needed.")
    return tuple(sorted(work, key=lambda one: one.at))


def _csv(text: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.DictReader(text.splitlines())
    for row in reader:
        yield reader.line_num, {key: value for key, value in row.items() if value not in (None, "")}


def _json(text: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise Invalid.one("trace", f"Line {number} is not JSON.") from error
            yield number, row if isinstance(row, dict) else {}


def _work(number: int, row: Mapping[str, object]) -> Work:
    missing = [name for name in NEEDED if name not in row]
    if missing:
        raise Invalid.one("trace", f"Line {number} lacks {' and '.join(missing)}.")
    try:
        work = Work(
            at=float(str(row["at_s"])),
            duration_s=float(str(row["duration_s"])),
            slots=int(str(row.get("slots", 1))),
            environment=str(row.get("environment", "e1")),
        )
    except ValueError as error:
        raise Invalid.one("trace", f"Line {number} has something that is not a number.") from error
    if work.at < 0 or work.duration_s < 0 or work.slots < 1:
        raise Invalid.one("trace", f"Line {number} has a negative time or no slots.")
    return work
