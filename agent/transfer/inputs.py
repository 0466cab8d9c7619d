"""Inputs: many files in parallel, through the cache, into the attempt's inputs directory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import urllib3

from agent import wire
from agent.phases.failures import PhaseFailed
from agent.phases.layout import safe_relative
from agent.transfer.download import (
    Expired,
    Failed,
    Wanted,
    fetch,
    public_name,
    raise_disk_full,
)

PARALLEL = 8
REFRESHES = 3
SHORT = 20
"""Up to so many files each has its own line in the log; of more only the number is told."""

log = logging.getLogger(__name__)


class Entry(Protocol):
    """A file of the cache."""

    @property
    def facts(self) -> dict[str, Any]: ...


class Cache(Protocol):
    """What is used of agent.cache.Cache."""

    def flight(self, key: str, check: Callable[[], None]) -> Any: ...

    def find(self, key: str) -> Any: ...

    def draft(self, key: str) -> Path: ...

    def keep(self, key: str, draft: Path, facts: dict[str, Any]) -> Any: ...

    def place(self, entry: Any, target: Path) -> None: ...

    def make_room(self, size_bytes: int) -> None: ...

    def drop(self, key: str) -> None: ...


@dataclass
class InputTransfer:
    """The inputs of one attempt."""

    spec: wire.ExecutionSpec
    target: Path
    cache: Cache
    key_of: Callable[[str, str | None], str]
    pool: urllib3.PoolManager
    absolute: Callable[[str], str]
    fetch_inputs: Callable[[], tuple[wire.InputSpec, ...]]
    on_progress: Callable[[int], None]
    say: Callable[[str], None]
    check: Callable[[], None]
    is_cached: bool = True
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _first_error: BaseException | None = None
    _fresh: dict[tuple[str, str], str] = field(default_factory=dict)
    _is_short: bool = True

    def bring(self) -> dict[str, dict[str, Any]]:
        """Place every file; give size and checksums by "input/name". Raises PhaseFailed."""
        files: list[tuple[wire.InputSpec, wire.InputFile]] = []
        for given in self.spec.inputs:
            root = self.target / safe_relative(given.name, "An input")
            root.mkdir(parents=True, exist_ok=True)
            for file in given.files:
                path = root / safe_relative(file.name, f"Input {given.name}")
                path.parent.mkdir(parents=True, exist_ok=True)
                if given.download != "on-demand":
                    files.append((given, file))
        if not files:
            return {}
        self._is_short = len(files) <= SHORT
        self.cache.make_room(sum(self._missing_bytes(file) for _, file in files))
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="input") as workers:
            coming = {workers.submit(self._bring_one, *one): one for one in files}
            for future in as_completed(coming):
                error = future.exception()
                if error is not None:
                    self._note(coming[future][1], error)
        if self._first_error is not None:
            raise self._first_error
        seen = [future.result() for future in coming]
        if not self._is_short:
            self.say(f"Inputs: {len(files)} files are there")
        return {
            f"{given.name}/{file.name}": facts
            for (given, file), facts in zip(files, seen, strict=True)
        }

    def _missing_bytes(self, file: wire.InputFile) -> int:
        """Count what will be downloaded; finding an entry also makes it the last to go."""
        entry = self.cache.find(self.key_of(file.uri, file.checksums.get("sha256")))
        return (file.size_bytes or 0) if entry is None else 0

    def _note(self, file: wire.InputFile, error: BaseException) -> None:
        """Keep the first error: the other files end because of it."""
        with self._lock:
            if self._first_error is not None:
                return
            try:
                if isinstance(error, OSError):
                    raise_disk_full(error)
                if isinstance(error, OSError | Failed | Expired):
                    error = self._failure(file, str(error))
            except PhaseFailed as full:
                error = full
            self._first_error = error

    def _failure(self, file: wire.InputFile, why: str) -> PhaseFailed:
        return PhaseFailed(
            "input_download_failed",
            f"Input {public_name(file.uri)} cannot be downloaded: {why}",
        )

    def _check(self) -> None:
        self.check()
        if self._first_error is not None:
            raise Failed("another input failed")

    def _bring_one(self, given: wire.InputSpec, file: wire.InputFile) -> dict[str, Any]:
        self._check()
        key = self.key_of(file.uri, file.checksums.get("sha256"))
        target = self.target / given.name / file.name
        with self.cache.flight(key, self._check):
            if not self.is_cached:
                self.cache.drop(key)
            entry = self.cache.find(key)
            came = "from cache"
            if entry is None or self._must_ask(file, entry):
                entry, came = self._download(given, file, key, entry)
            self.cache.place(entry, target)
        if self._is_short:
            self.say(f"Inputs: {given.name}/{file.name} {came}")
        if came == "from cache":
            self.on_progress(entry.facts["size"])
        names = ("size", "sha256", "md5", "sha1")
        return {name: entry.facts[name] for name in names if entry.facts.get(name)}

    def _must_ask(self, file: wire.InputFile, entry: Any) -> bool:
        """Say whether what lies at a URL may have changed and its server could tell."""
        return not file.checksums.get("sha256") and bool(entry.facts.get("etag"))

    def _download(
        self, given: wire.InputSpec, file: wire.InputFile, key: str, entry: Any
    ) -> tuple[Any, str]:
        """Fetch, or learn that the copy of a URL's content is still good."""
        draft = self.cache.draft(key)
        if not self.is_cached or not file.checksums.get("sha256"):
            # Nobody knows whether an old piece belongs to the same content.
            draft.unlink(missing_ok=True)
        wanted = Wanted(
            self._url(given, file),
            draft,
            file.size_bytes,
            file.checksums,
            etag=entry.facts.get("etag") if entry is not None else None,
        )
        for left in reversed(range(REFRESHES)):
            try:
                facts = fetch(wanted, self.pool, on_bytes=self.on_progress, check=self._check)
                break
            except Expired:
                if not left:
                    raise
                self._refresh(wanted.url)
                wanted = replace(wanted, url=self._url(given, file))
        else:
            raise AssertionError("the last round answers or raises")
        if facts is None:
            return entry, "from cache"
        return self.cache.keep(key, draft, facts), "downloaded"

    def _url(self, given: wire.InputSpec, file: wire.InputFile) -> str:
        return self.absolute(self._fresh.get((given.name, file.name), file.url))

    def _refresh(self, stale: str) -> None:
        """Ask once for fresh URLs, also when many files find theirs expired together."""
        with self._lock:
            if any(self.absolute(url) == stale for url in self._fresh.values()) or (
                not self._fresh
            ):
                for given in self.fetch_inputs():
                    for file in given.files:
                        self._fresh[given.name, file.name] = file.url
