"""Repositories in memory, for tests: commits are dictionaries of files."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from control.domain.errors import PermanentError
from control.domain.ports import FetchedCommit, FetchResult, GitRemote


@dataclass(frozen=True, slots=True)
class _Commit:
    fetched: FetchedCommit
    files: Mapping[str, bytes]


class MemoryGit:
    """The git port over what `commit` was told. Keys are real in form and open nothing."""

    def __init__(self) -> None:
        if "PYTEST_VERSION" not in os.environ:
            warnings.warn("The memory git forgets everything when it ends.", stacklevel=2)
        self._lock = threading.Lock()
        self._branches: dict[str, dict[str, list[_Commit]]] = {}
        self._mirrors: dict[str, dict[str, _Commit]] = {}
        self._key_count = 0

    @classmethod
    def from_url(cls, url: str, *, options: Mapping[str, str]) -> Self:
        """Build from `memory:`; there are no options."""
        del url, options
        return cls()

    def commit(
        self, url: str, files: Mapping[str, bytes], *, ref: str = "main", message: str = "Change"
    ) -> str:
        """Add a commit on a branch of the repository at `url`; answer its identifier."""
        with self._lock:
            history = self._branches.setdefault(url, {}).setdefault(ref, [])
            text = repr((url, ref, message, len(history), sorted(files.items())))
            identifier = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
            moment = f"2030-01-02T03:{len(history) // 60:02}:{len(history) % 60:02}Z"
            fetched = FetchedCommit(identifier, ref, moment, message)
            history.insert(0, _Commit(fetched, dict(files)))
        return identifier

    def fetch(self, mirror: str, remote: GitRemote, refs: Sequence[str]) -> FetchResult:
        """Answer the newest commits of each ref, at most 200."""
        with self._lock:
            branches = self._branches.get(remote.url)
            if branches is None:
                raise PermanentError("The repository was not found.")
            errors = tuple(f"There is no branch or tag {r!r}." for r in refs if r not in branches)
            if len(errors) == len(refs):
                raise PermanentError(" ".join(errors) or "No branch or tag to fetch was named.")
            found = [one for ref in refs for one in branches.get(ref, [])[:200]]
            known = self._mirrors.setdefault(mirror, {})
            known.update({one.fetched.identifier: one for one in found})
        return FetchResult(tuple(one.fetched for one in found), errors)

    def read_file(self, mirror: str, identifier: str, path: str) -> bytes | None:
        """Read a file of a fetched commit."""
        return self._known(mirror, identifier).files.get(path.removeprefix("./"))

    def archive(self, mirror: str, identifier: str, target: Path) -> None:
        """Write the files as a deterministic gzip tar."""
        files = self._known(mirror, identifier).files
        with (
            target.open("wb") as file,
            gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|") as archive,
        ):
            for name in sorted(files):
                member = tarfile.TarInfo(name)
                member.size = len(files[name])
                archive.addfile(member, io.BytesIO(files[name]))

    def make_deploy_key(self, comment: str) -> tuple[str, str]:
        """Make a pair that differs each time and opens nothing."""
        with self._lock:
            self._key_count += 1
            count = self._key_count
        private = (
            f"-----BEGIN OPENSSH PRIVATE KEY-----\n{count}\n-----END OPENSSH PRIVATE KEY-----\n"
        )
        return private, f"ssh-ed25519 AAAA{count} {comment}"

    def _known(self, mirror: str, identifier: str) -> _Commit:
        with self._lock:
            found = self._mirrors.get(mirror, {}).get(identifier)
        if found is None:
            raise PermanentError(f"Commit {identifier} has not been fetched.")
        return found
