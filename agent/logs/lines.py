"""The bytes of log lines: their times put in order, secrets masked, broken text mended.

Work is done on whole blocks where it can be, and line by line only where a block needs it: a step
may print several hundred thousand lines a second.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.phases.stamps import STAMP, later_than

TEXT_AT = STAMP + 3
"""Where a line's text begins: after the time, a blank, the stream's letter, a blank."""

MASK = b"****"


def restamp(block: bytes, last: bytes) -> bytes:
    """Move the first lines of a block on until all its times are later than `last`."""
    if not last or block[:STAMP] > last:
        return block
    moved: list[bytes] = []
    at = 0
    while at < len(block) and block[at : at + STAMP] <= last:
        end = block.index(b"\n", at) + 1
        last = later_than(block[at : at + STAMP], last)
        moved.append(last + block[at + STAMP : end])
        at = end
    return b"".join(moved) + block[at:]


def last_stamp(block: bytes) -> bytes:
    """Give the time of a block's last line."""
    start = block.rfind(b"\n", 0, len(block) - 1) + 1
    return block[start : start + STAMP]


def valid_utf8(block: bytes) -> bytes:
    """Replace what is not UTF-8."""
    try:
        block.decode()
    except UnicodeDecodeError:
        return block.decode(errors="replace").encode()
    return block


class Masker:
    """Hides secrets in the text of lines, never in their times."""

    def __init__(self, secrets: Sequence[str]) -> None:
        words: set[bytes] = set()
        for secret in secrets:
            # A secret of several lines is printed line by line.
            words.update(part.strip().encode() for part in secret.splitlines())
        words.discard(b"")
        self._words = sorted(words, key=len, reverse=True)

    def mask(self, block: bytes) -> bytes:
        """Mask whole lines, each ended by a line feed."""
        if not any(word in block for word in self._words):
            return block
        return b"".join(
            line[:TEXT_AT] + self._hide(line[TEXT_AT:]) for line in block.splitlines(keepends=True)
        )

    def mask_text(self, text: str) -> str:
        """Mask a sentence of the agent's own."""
        return self._hide(text.encode()).decode(errors="replace")

    def _hide(self, text: bytes) -> bytes:
        for word in self._words:
            if word in text:
                text = text.replace(word, MASK)
        return text
