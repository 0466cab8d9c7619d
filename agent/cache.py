"""Input files kept on the machine, by content where the content is known, else by URI.

An entry is the file and a note beside it. The same file is hard-linked into the attempts that
use it; the note holds size and time of change, so an entry that a step has written into is seen
and dropped. The oldest used go first when the quota is reached or the disk runs full; what is in
use stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.aside import CHECK_EVERY_S

LINK_MODE = 0o444
"""Entries are read-only: what writes into a file shared by hard links must mean to."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the cache. `facts`: size, sha256, md5, sha1, etag."""

    path: Path
    facts: dict[str, Any]


def key_of(uri: str, sha256: str | None) -> str:
    """Name an entry."""
    if sha256:
        return f"sha256-{sha256}"
    return f"uri-{hashlib.sha256(uri.encode()).hexdigest()}"


@dataclass
class Cache:
    """One for all slots; safe between threads."""

    folder: Path
    quota_bytes: int | None = None
    keep_free_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _flights: dict[str, threading.Lock] = field(default_factory=dict)
    _pins: dict[str, int] = field(default_factory=dict)

    @contextlib.contextmanager
    def flight(self, key: str, check: Callable[[], None]) -> Generator[None]:
        """Let one slot at a time fetch an entry; the others find it there. Pins it meanwhile.

        Who waits asks `check`, which raises Interrupted to end.
        """
        with self._lock:
            flight = self._flights.setdefault(key, threading.Lock())
            self._pins[key] = self._pins.get(key, 0) + 1
        try:
            while not flight.acquire(timeout=CHECK_EVERY_S):
                check()
            try:
                yield
            finally:
                flight.release()
        finally:
            with self._lock:
                self._pins[key] -= 1
                if not self._pins[key]:
                    del self._pins[key], self._flights[key]

    def find(self, key: str) -> Entry | None:
        """Give an entry that is whole and unchanged."""
        path = self._path(key)
        try:
            facts = json.loads(self._note(key).read_bytes())
            seen = path.stat()
        except (OSError, ValueError):
            return None
        if (seen.st_size, seen.st_mtime_ns) != (facts["size"], facts["mtime_ns"]):
            self.drop(key)
            return None
        os.utime(self._note(key))
        return Entry(path, facts)

    def draft(self, key: str) -> Path:
        """Name the file to download into; it survives a crash so that a download can resume."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_suffix(".part")

    def keep(self, key: str, draft: Path, facts: dict[str, Any]) -> Entry:
        """Take a finished download in."""
        draft.chmod(LINK_MODE)
        seen = draft.stat()
        facts = {**facts, "size": seen.st_size, "mtime_ns": seen.st_mtime_ns}
        path = self._path(key)
        draft.replace(path)
        note = self._note(key)
        note.with_suffix(".new").write_text(json.dumps(facts))
        note.with_suffix(".new").replace(note)
        self.make_room(0)
        return Entry(path, facts)

    def place(self, entry: Entry, target: Path) -> None:
        """Put an entry where a step reads it: a link, or a copy where there can be none."""
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name[:200]}.part")
        draft.unlink(missing_ok=True)
        if self._link(entry.path, draft):
            draft.replace(target)
            # Renaming onto a link of the same file does nothing and leaves the draft.
            draft.unlink(missing_ok=True)
            return
        shutil.copyfile(entry.path, draft)
        draft.replace(target)

    def _link(self, source: Path, target: Path) -> bool:
        try:
            os.link(source, target)
        except OSError:
            return False
        return True

    def drop(self, key: str) -> None:
        """Forget an entry and its draft; attempts that use it keep their link."""
        path = self._path(key)
        for one in (self._note(key), path, path.with_suffix(".part")):
            one.unlink(missing_ok=True)

    def clear(self) -> None:
        """Drop everything that is not being fetched."""
        for _, _, key in self._entries():
            if key not in self._pins:
                self.drop(key)

    def make_room(self, size_bytes: int) -> None:
        """Drop the longest unused until `size_bytes` more fit in the quota and on the disk."""
        entries = sorted(self._entries())
        used = sum(size for _, size, _ in entries)
        self.folder.mkdir(parents=True, exist_ok=True)
        disk = shutil.disk_usage(self.folder)
        quota = self.quota_bytes if self.quota_bytes is not None else disk.total // 5
        free = disk.free
        for _, size, key in entries:
            is_tight = used + size_bytes > quota or free - size_bytes < self.keep_free_bytes
            if not is_tight:
                return
            if key not in self._pins:
                self.drop(key)
                used -= size
                free += size

    def _entries(self) -> list[tuple[float, int, str]]:
        found: list[tuple[float, int, str]] = []
        for note in self.folder.glob("*/*.json"):
            with contextlib.suppress(OSError):
                size = note.with_suffix("").stat().st_size
                found.append((note.stat().st_mtime, size, note.stem))
        for draft in self.folder.glob("*/*.part"):  # of downloads that were broken off
            with contextlib.suppress(OSError):
                seen = draft.stat()
                found.append((seen.st_mtime, seen.st_size, draft.stem))
        return found

    def _path(self, key: str) -> Path:
        return self.folder / key[-2:] / key

    def _note(self, key: str) -> Path:
        path = self._path(key)
        return path.with_name(path.name + ".json")
