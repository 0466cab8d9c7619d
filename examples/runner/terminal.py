"""Writes what happens: on a terminal with colours and one redrawn line, otherwise line by line."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from typing import TextIO

COLOURS = {"green": "32", "red": "31", "yellow": "33", "blue": "34", "dim": "2", "bold": "1"}
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
# What a program may put in its log to move the cursor or colour the screen of whoever reads it.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f]")


class Terminal:
    """Everything printed goes through here, so that the redrawn line is always the last one."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.is_live = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.has_colours = self.is_live and not os.environ.get("NO_COLOR")
        self.has_symbols = "utf" in (self.stream.encoding or "").lower()
        self._has_status = False

    def paint(self, words: str, colour: str) -> str:
        return f"\x1b[{COLOURS[colour]}m{words}\x1b[0m" if self.has_colours else words

    def line(self, words: str = "") -> None:
        self._write(f"{words}\n")

    def done(self, words: str) -> None:
        mark = "✓" if self.has_symbols else "ok:"
        self.line(f"{self.paint(mark, 'green')} {words}")

    def warn(self, words: str) -> None:
        mark = "!" if self.has_symbols else "note:"
        self.line(f"{self.paint(mark, 'yellow')} {self.paint(words, 'yellow')}")

    def fail(self, words: str) -> None:
        mark = "✗" if self.has_symbols else "error:"
        self.line(f"{self.paint(mark, 'red')} {self.paint(words, 'red')}")

    def status(self, words: str) -> None:
        """Redraw the last line; a stream that is no terminal has none."""
        if not self.is_live:
            return
        width = shutil.get_terminal_size().columns - 3
        mark = SPINNER[int(time.monotonic() * 10) % len(SPINNER)] if self.has_symbols else "*"
        self._write(f"{self.paint(mark, 'blue')} {words[:width]}", keep=True)

    def close(self) -> None:
        """Take the redrawn line away."""
        self._write("")

    def bar(self, done: float, total: float, width: int = 24) -> str:
        share = min(1.0, max(0.0, done / total)) if total else 0.0
        filled = round(share * width)
        full, empty = ("█", "░") if self.has_symbols else ("#", ".")
        return f"{full * filled}{empty * (width - filled)} {share:4.0%}"

    def _write(self, words: str, *, keep: bool = False) -> None:
        cleared = "\r\x1b[2K" if self._has_status else ""
        text = cleared + words
        encoding = self.stream.encoding or "utf-8"
        self.stream.write(text.encode(encoding, "replace").decode(encoding))
        self.stream.flush()
        self._has_status = keep


def plain(text: str) -> str:
    """Answer the text without what would move a cursor or change colours."""
    return ESCAPES.sub("", text)


def size_words(size_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024 or unit == "GiB":
            break
        size_bytes /= 1024
    return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
