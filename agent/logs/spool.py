"""The numbered lines of one attempt, on disk until the control service has stored them.

Two files: `spool` holds exactly the lines in wire format, append-only; `cursor` says how many of
its bytes and lines count and up to where the source (the engine's log, the supervisor's file) is
in them. A line is sent only after the cursor that covers it was written, so an agent killed at
any moment numbers the lines after its restart as before: bytes beyond the cursor are dropped and
read from the source again.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

from agent.logs.lines import Masker, last_stamp, restamp, valid_utf8
from agent.phases.stamps import later_than, stamp_of

log = logging.getLogger(__name__)


class Spool:
    """Appended to by the collector and by status lines; read by the sender and the points."""

    def __init__(self, folder: Path, *, first: int, masker: Masker) -> None:
        self.first = first
        self._path = folder / "spool"
        self._cursor_path = folder / "cursor"
        self._masker = masker
        self._grown = threading.Condition()
        self._last = b""
        self.size = 0  # bytes that count
        self.count = 0  # lines that count
        self.position: Any = None  # of the source; None before its first line
        self.marks: dict[str, Any] = {}  # how far readers came, kept with the next commit
        self._is_closed = False
        self._recover()
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(self._file, self.size)

    @property
    def last_line(self) -> int:
        """The number of the last line; first - 1 when there is none."""
        return self.first + self.count - 1

    def _recover(self) -> None:
        try:
            kept = json.loads(self._cursor_path.read_bytes())
        except FileNotFoundError:
            return
        self.size, self.count = kept["size"], kept["count"]
        self.position, self.marks = kept["position"], kept["marks"]
        self._last = kept["last"].encode()

    def say(self, text: str) -> None:
        """Append status lines, stamped now."""
        text = self._masker.mask_text(text)
        with self._grown:
            last, lines = self._last, b""
            for part in text.splitlines():
                last = later_than(stamp_of(time.time_ns() // 1000), last)
                lines += b"%s s %s\n" % (last, part.encode())
            try:
                self._write(lines, self.position)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                log.error("the disk is full; not said: %s", text)

    def append(self, block: bytes, position: Any) -> None:
        """Append whole lines of the source, whose times increase strictly within the block."""
        if block:
            block = self._masker.mask(valid_utf8(block))
        with self._grown:
            self._write(restamp(block, self._last), position)

    def _write(self, block: bytes, position: Any) -> None:
        """Add lines and the cursor that covers them, or neither."""
        before = self.size, self.count, self._last, self.position
        try:
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            self.size += len(block)
            self.count += block.count(b"\n")
            self._last = last_stamp(block) or self._last
            self.position = position
            self._save_cursor()
        except OSError:
            self.size, self.count, self._last, self.position = before
            os.ftruncate(self._file, self.size)
            raise
        self._grown.notify_all()

    def _save_cursor(self) -> None:
        cursor = {
            "size": self.size,
            "count": self.count,
            "last": self._last.decode(),
            "position": self.position,
            "marks": self.marks,
        }
        draft = self._cursor_path.with_suffix(".new")
        draft.write_text(json.dumps(cursor))
        draft.replace(self._cursor_path)

    def save_marks(self) -> None:
        """Keep how far the readers came."""
        with self._grown:
            self._save_cursor()

    def close_for_writing(self) -> None:
        """Say that no line follows; readers end at the end."""
        with self._grown:
            self._is_closed = True
            self._grown.notify_all()

    def close(self) -> None:
        """Give the file back; for when no reader is left."""
        os.close(self._file)

    def wait_beyond(
        self, offset: int, timeout_s: float, until: threading.Event | None = None
    ) -> bool:
        """Wait until there are bytes after `offset`; True when there are.

        Ends early when the spool is closed for writing, or `until` is set and `wake` called.
        """
        with self._grown:
            self._grown.wait_for(
                lambda: (
                    self.size > offset or self._is_closed or (until is not None and until.is_set())
                ),
                timeout_s,
            )
            return self.size > offset

    def wake(self) -> None:
        """Let readers look at their `until`."""
        with self._grown:
            self._grown.notify_all()

    def is_complete_at(self, offset: int) -> bool:
        """Say whether a reader at `offset` has seen everything that will ever be here."""
        with self._grown:
            return self._is_closed and offset >= self.size

    def read(self, offset: int, limit: int) -> bytes:
        """Read whole lines from `offset`, about `limit` bytes of them."""
        with self._grown:
            limit = min(limit, self.size - offset)
        data = os.pread(self._file, limit, offset)
        return data[: data.rfind(b"\n") + 1]
