"""Outputs: files that became read-only at once, all the others at the end.

What was stored is noted on disk, so that a restarted agent sends nothing twice and properties
that appear after a live upload still reach their datum.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import urllib3

from agent import wire
from agent.aside import Aside
from agent.phases.failures import PhaseFailed
from agent.transfer.sidecars import is_sidecar, metadata_of, read_table

PARALLEL = 4
OFFER = 100
TRIES = 5
BACKOFF_S = 0.5
CHUNK_BYTES = 1024 * 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file below the outputs directory."""

    name: str
    size_bytes: int
    mtime_ns: int
    is_read_only: bool


def find_outputs(root: Path) -> list[Found]:
    """List regular files; links are not followed. By name."""
    return sorted(_walk(root, ""), key=lambda one: one.name)


def _walk(folder: Path, prefix: str) -> Iterator[Found]:
    with contextlib.suppress(FileNotFoundError, PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk(Path(entry.path), name + "/")
                elif entry.is_file(follow_symlinks=False):
                    seen = entry.stat(follow_symlinks=False)
                    is_read_only = not seen.st_mode & 0o222
                    yield Found(name, seen.st_size, seen.st_mtime_ns, is_read_only)


@dataclass
class OutputTransfer:
    """The outputs of one attempt. `offer` and `confirm` repeat until they are answered."""

    root: Path
    note: Path
    pool: urllib3.PoolManager
    absolute: Callable[[str], str]
    offer: Callable[[wire.OutputsOffer], tuple[wire.Upload, ...]]
    confirm: Callable[[str, wire.OutputStored], Any]
    on_progress: Callable[[int, int], None]
    check: Callable[[], None]
    stored: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.stored = json.loads(self.note.read_bytes())

    def upload_finished(self, earlier: dict[str, Found]) -> dict[str, Found]:
        """Upload and remove files that are read-only and as they were in the scan before.

        Gives this scan, for the next call.
        """
        scan = {one.name: one for one in find_outputs(self.root)}
        names = scan.keys() | {one["name"] for one in self.stored}
        ready = [
            one
            for one in scan.values()
            if one.is_read_only and earlier.get(one.name) == one and not is_sidecar(one.name, names)
        ]
        if ready:
            self._upload(ready, is_live=True)
        return scan

    def upload_all(self) -> list[str]:
        """Upload what is there; give sentences about files that could not be stored."""
        scan = find_outputs(self.root)
        names = {one.name for one in scan} | {one["name"] for one in self.stored}
        files = [one for one in scan if not is_sidecar(one.name, names)]
        failures = self._upload(files, is_live=False)
        self._tell_late_properties()
        return failures

    def _upload(self, files: list[Found], *, is_live: bool) -> list[str]:
        table = read_table(self.root)
        failures: list[str] = []
        done = 0
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="output") as workers:
            for start in range(0, len(files), OFFER):
                batch = list(workers.map(self._describe, files[start : start + OFFER]))
                known = [one for one in batch if one is not None]
                uploads = {one.name: one for one in self._offer(known)}
                places = [uploads.get(one.name) for one in known]
                results = workers.map(self._store, known, places, [table] * len(known))
                for one, failure in zip(known, results, strict=True):
                    if failure:
                        failures.append(failure)
                    elif is_live:
                        (self.root / one.name).unlink(missing_ok=True)
                    done += 1
                    self.on_progress(done, len(files))
        return failures

    def _offer(self, files: list[wire.OutputFile]) -> tuple[wire.Upload, ...]:
        """Ask for places; a file that is refused must not take the others with it."""
        if not files:
            return ()
        try:
            return self.offer(wire.OutputsOffer(tuple(files)))
        except PhaseFailed as refusal:
            if len(files) == 1:
                log.warning("output %r is refused: %s", files[0].name, refusal)
                return ()
        return tuple(upload for one in files for upload in self._offer([one]))

    def _describe(self, found: Found) -> wire.OutputFile | None:
        """Read a file for its checksums; None when it is gone."""
        hashes = [hashlib.new(name, usedforsecurity=False) for name in ("sha256", "md5", "sha1")]
        size = 0
        try:
            with self._open(found.name) as file:
                while chunk := file.read(CHUNK_BYTES):
                    self.check()
                    size += len(chunk)
                    for one in hashes:
                        one.update(chunk)
        except FileNotFoundError:
            return None
        return wire.OutputFile(found.name, size, *(one.hexdigest() for one in hashes))

    def _open(self, name: str) -> BinaryIO:
        """Open without following a link that was put in the file's place."""
        file = os.open(self.root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise FileNotFoundError(name)
        return os.fdopen(file, "rb")

    def _store(
        self, file: wire.OutputFile, upload: wire.Upload | None, table: dict[str, Any]
    ) -> str | None:
        """Send one file and say so; give a sentence when that fails."""
        failure: str | None = "the control service names no place for it"
        event = threading.Event()
        for left in reversed(range(TRIES)):
            if upload is None:
                break
            failure = self._send_and_confirm(file, upload, table)
            if failure is None:
                return None
            if left:
                self.check()
                event.wait(BACKOFF_S * 2 ** (TRIES - 1 - left))
                fresh = self._offer([file])
                upload = next((one for one in fresh if one.name == file.name), None)
        return f"Output {file.name} could not be stored: {failure}"

    def _send_and_confirm(
        self, file: wire.OutputFile, upload: wire.Upload, table: dict[str, Any]
    ) -> str | None:
        failure = None
        if not upload.is_stored:
            failure = Aside[str | None](lambda _: self._send(file, upload)).run(
                "upload", self.check
            )
        if failure is not None:
            return failure
        try:
            self._confirm(file, upload, metadata_of(self.root, file.name, table))
        except PhaseFailed as refusal:
            return refusal.sentence
        return None

    def _send(self, file: wire.OutputFile, upload: wire.Upload) -> str | None:
        headers = {**upload.headers, "Content-Length": str(file.size_bytes)}
        try:
            with self._open(file.name) as body:
                answer = self.pool.request(
                    upload.method,
                    self.absolute(upload.url),
                    body=body if file.size_bytes else b"",
                    headers=headers,
                    retries=False,
                    timeout=urllib3.Timeout(connect=15.0, read=120.0),
                )
        except urllib3.exceptions.HTTPError as error:
            return f"the connection broke ({type(error).__name__})"
        except OSError as error:
            return f"it cannot be read ({error.strerror})"
        return None if answer.status < 300 else f"the store answered {answer.status}"

    def _confirm(
        self, file: wire.OutputFile, upload: wire.Upload, metadata: dict[str, Any]
    ) -> None:
        self.confirm(upload.datum_id, wire.OutputStored(metadata))
        row = {"name": file.name, "datum_id": upload.datum_id, "metadata": metadata}
        with self._lock:
            self.stored = [one for one in self.stored if one["datum_id"] != upload.datum_id]
            self.stored.append(row)
            self._keep()

    def _keep(self) -> None:
        draft = self.note.with_suffix(".new")
        draft.write_text(json.dumps(self.stored))
        draft.replace(self.note)

    def _tell_late_properties(self) -> None:
        """Send properties that were written after their file had been uploaded live."""
        table = read_table(self.root)
        for row in self.stored:
            metadata = metadata_of(self.root, row["name"], table)
            if metadata and metadata != row["metadata"]:
                try:
                    self.confirm(row["datum_id"], wire.OutputStored(metadata))
                except PhaseFailed as refusal:
                    log.warning("properties of %r are refused: %s", row["name"], refusal)
                row["metadata"] = metadata
        if self.stored:
            self._keep()
