"""Looking through a log, block by block: lines that match, and the first error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from control.domain.ports import TailBlock

ERROR = re.compile(
    rb"^Traceback \(most recent call last\)|\b(?:error|exception|fatal|panic|failed|killed)\b"
    rb"|[a-z](?:Error|Exception)\b",
    re.IGNORECASE,
)
HARMLESS = re.compile(rb"\b(?:0|no) errors?\b|\berror(?:_rate|s)?[\"']?\s*[:=]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; an empty text matches each line of the streams."""

    text: str
    streams: str  # letters of agent.wire.STREAMS
    limit: int


@dataclass(frozen=True, slots=True)
class Matches:
    """Matching lines as (number, wire text), and the number to go on after."""

    lines: list[tuple[int, bytes]]
    next: int


def matches(blocks: Iterable[TailBlock], wanted: Wanted, after: int) -> Matches:
    """Find lines in order, at most `limit` of them."""
    needle = wanted.text.lower().encode()
    streams = wanted.streams.encode()
    found: list[tuple[int, bytes]] = []
    last = after
    for block in blocks:
        if needle and needle not in block.text.lower():
            last = block.last
            continue
        for number, line in numbered(block):
            letter, text = _split(line)
            if letter in streams and needle in text.lower():
                found.append((number, line))
                if len(found) >= wanted.limit:
                    return Matches(found, number)
        last = block.last
    return Matches(found, last)


def first_error(blocks: Iterable[TailBlock]) -> int | None:
    """Find the line where the trouble begins: one that speaks of an error.

    A whole log without such a line answers None.
    """
    for block in blocks:
        if not ERROR.search(block.text):
            continue
        for number, line in numbered(block):
            letter, text = _split(line)
            if letter != b"s" and ERROR.search(text) and not HARMLESS.search(text):
                return number
    return None


def last_complaint(blocks: Iterable[TailBlock]) -> int | None:
    """Find where the last run of lines on standard error begins: what a failed command said."""
    found, was_error = None, False
    for block in blocks:
        for number, line in numbered(block):
            letter, _ = _split(line)
            if letter == b"e" and not was_error:
                found = number
            was_error = letter == b"e"
    return found


def numbered(block: TailBlock) -> Iterator[tuple[int, bytes]]:
    """Number the lines of a block."""
    for offset, line in enumerate(block.text.split(b"\n")[: block.count]):
        yield block.first + offset, line


def _split(line: bytes) -> tuple[bytes, bytes]:
    _time, _, rest = line.partition(b" ")
    return rest[:1], rest[2:]
