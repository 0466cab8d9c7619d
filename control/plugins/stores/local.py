"""Files below one folder, behind signed paths on our own host; for one machine.

The async room serves the bytes and asks here for what it may do (`verify`), for a file to read
(`open_for_read`) and for a place to write (`begin_upload`). All of it is sync: call it in a thread.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import unquote, urlsplit

from control.domain.errors import PermanentError
from control.domain.ports import SignedRequest, StoredObject
from control.plugins.stores.keys import check_key, check_prefix
from control.plugins.stores.signing import Grant, Signer
from control.plugins.stores.upload import INCOMING, Upload

_CHECK_KEY = "talkoot-check"
_PIECE_BYTES = 1 << 20
_LEFT_S = 86_400
_UNNAMEABLE = re.compile(r"[\x00-\x1f\x7f/\\]")


class LocalStore:
    """A folder as a store. Objects are never overwritten; an upload appears whole or not at all."""

    def __init__(
        self,
        root: Path,
        signing_key: bytes,
        path_prefix: str = "/store/",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.root = root.absolute()
        self.path_prefix = path_prefix
        self.uri_prefix = f"{self.root.as_uri()}/"
        self._signer = Signer(signing_key, path_prefix)
        self._clock = clock
        (self.root / INCOMING).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sweep()

    @classmethod
    def from_url(cls, url: str, *, options: Mapping[str, str]) -> Self:
        """Build from `file:///folder` (or `file:folder`, seen from `data_dir`).

        Options: `signing_key` (hex, 32 bytes or more) and, for a relative folder, `data_dir`.
        """
        parts = urlsplit(url)
        if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not parts.path:
            raise PermanentError("A local store is written file:///folder.")
        if "signing_key" not in options:
            raise PermanentError("A local store needs a signing key.")
        root = Path(options.get("data_dir", ".")) / unquote(parts.path)
        return cls(root, bytes.fromhex(options["signing_key"]))

    # -- signed addresses ----------------------------------------------------------------------
    def put_url(self, key: str, *, ttl_s: int, size_bytes: int) -> SignedRequest:
        """Sign one upload of exactly `size_bytes` as a path on our own host."""
        grant = Grant("PUT", check_key(key), self._expiry(ttl_s), size_bytes=size_bytes)
        headers = {"Content-Length": str(size_bytes)}
        return SignedRequest("PUT", self._signer.sign(grant), headers)

    def get_url(self, key: str, *, ttl_s: int, file_name: str | None = None) -> str:
        """Sign one download as a path on our own host."""
        name = None if file_name is None else _UNNAMEABLE.sub("_", file_name)
        return self._signer.sign(Grant("GET", check_key(key), self._expiry(ttl_s), file_name=name))

    def verify(self, method: str, path_key: str, query: Mapping[str, str], now: float) -> Grant:
        """Answer what a request may do, or raise Forbidden.

        `path_key` is the decoded path behind `path_prefix`; `now` is seconds since 1970.
        """
        return self._signer.verify(method, path_key, query, now)

    def open_for_read(self, key: str) -> tuple[BinaryIO, int]:
        """Open an object: (file, size in bytes); PermanentError when it is not there."""
        try:
            file = self._path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise PermanentError(f"{key} is not in the store.") from error
        return file, os.fstat(file.fileno()).st_size

    def begin_upload(self, key: str, size_bytes: int) -> Upload:
        """Make a place for exactly `size_bytes`; use it as a context: leaving it aborts."""
        return Upload(self.root, check_key(key), size_bytes)

    # -- the port ------------------------------------------------------------------------------
    def put(self, key: str, body: bytes | Path) -> None:
        """Store bytes or a file, whole or not at all."""
        source = body.open("rb") if isinstance(body, Path) else BytesIO(body)
        with source, self.begin_upload(key, _size_bytes(body)) as upload:
            while piece := source.read(_PIECE_BYTES):
                upload.write(piece)
            upload.commit()

    def get(self, key: str) -> bytes:
        """Read an object whole."""
        file, _ = self.open_for_read(key)
        with file:
            return file.read()

    def stat(self, key: str) -> StoredObject | None:
        """Look an object up."""
        path = self._path(key)
        try:
            return StoredObject(key, path.stat().st_size) if path.is_file() else None
        except NotADirectoryError:
            return None

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """List by prefix, in key order."""
        folder = check_prefix(prefix).rpartition("/")[0]
        return self._walk(f"{folder}/" if folder else "", prefix)

    def delete(self, key: str) -> None:
        """Remove an object and the folders that it leaves empty."""
        path = self._path(key)
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            path.unlink()
        for folder in path.parents:
            if folder == self.root:
                break
            try:
                folder.rmdir()
            except OSError:
                break

    def check(self) -> None:
        """Write, read and delete a small object; raises what is wrong."""
        key = f"{_CHECK_KEY}/{os.getpid()}-{time.monotonic_ns()}"
        try:
            self.put(key, b"talkoot")
            if self.get(key) != b"talkoot":
                raise PermanentError(f"The store at {self.root} gave other bytes back.")
        except OSError as error:
            raise PermanentError(f"The store at {self.root}: {error.strerror}.") from error
        finally:
            self.delete(key)

    def check_pages(self, origin: str) -> None:
        """Find nothing wrong: its addresses have the pages' own origin."""

    # -- inside --------------------------------------------------------------------------------
    def _walk(self, folder: str, prefix: str) -> Iterator[StoredObject]:
        try:
            with os.scandir(self.root / folder) as scan:
                entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in scan]
        except (FileNotFoundError, NotADirectoryError):
            return
        # "a/b" comes before "a0" and after "a-": a folder sorts with its slash.
        for name in sorted(f"{name}/" if is_folder else name for name, is_folder in entries):
            key = folder + name
            if name == f"{INCOMING}/" or not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            if name.endswith("/"):
                yield from self._walk(key, prefix)
            elif key.startswith(prefix) and (found := self.stat(key)):
                yield found

    def _sweep(self) -> None:
        """Take away what killed uploads left more than a day ago."""
        for part in (self.root / INCOMING).iterdir():
            with suppress(FileNotFoundError):
                if part.stat().st_mtime < self._clock() - _LEFT_S:
                    part.unlink()

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _expiry(self, ttl_s: int) -> int:
        return int(self._clock()) + ttl_s


def _size_bytes(body: bytes | Path) -> int:
    return body.stat().st_size if isinstance(body, Path) else len(body)
