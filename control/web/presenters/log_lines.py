"""Log lines as the page first shows them, and as it shows them without scripts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""Control sequences of terminals; static/js/ansi.js turns those of colour into classes."""
KINDS = {"stdout": "out", "stderr": "err", "status": "sys"}
MOST = 2000


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `raw` is what scripts draw, `text` what is read without them."""

    number: int
    time: str
    clock: str
    kind: str
    text: str
    raw: str


def present(lines: Sequence[Any]) -> list[Line]:
    """Present lines of control.services.logs."""
    return [_line(line) for line in lines]


def _line(line: Any) -> Line:
    raw = line.message.rpartition("\r")[2] or line.message.rstrip("\r")
    text = ESCAPES.sub("", raw)
    if len(text) > MOST:
        text = f"{text[:MOST]}… ({len(text) - MOST} more characters)"
    return Line(line.number, line.time, line.time[11:19], KINDS[line.stream], text, raw[: 4 * MOST])
