"""A store in memory, for tests: it remembers, and it forgets all when the process ends."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from control.domain.errors import PermanentError
from control.domain.ports import SignedRequest, StoredObject
from control.plugins.stores.keys import check_key, check_prefix


class MemoryStore:
    """Objects in a dictionary. `accept` and `fetch` play the part of the HTTP server."""

    uri_prefix = "memory://store/"

    def __init__(self) -> None:
        if "PYTEST_VERSION" not in os.environ:
            warnings.warn("The memory store forgets everything when it ends.", stacklevel=2)
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_url(cls, url: str, *, options: Mapping[str, str]) -> Self:
        """Build from `memory://`; there are no options."""
        del url, options
        return cls()

    def put_url(self, key: str, *, ttl_s: int, size_bytes: int) -> SignedRequest:
        """Name an upload for `accept`."""
        del ttl_s
        return SignedRequest("PUT", f"{self.uri_prefix}{check_key(key)}?size={size_bytes}")

    def get_url(self, key: str, *, ttl_s: int, file_name: str | None = None) -> str:
        """Name a download for `fetch`."""
        del ttl_s, file_name
        return f"{self.uri_prefix}{check_key(key)}"

    def accept(self, request: SignedRequest, body: bytes) -> None:
        """Take an upload as a real server would; refuses another size than was signed."""
        address, _, size = request.url.removeprefix(self.uri_prefix).partition("?size=")
        if len(body) != int(size):
            raise PermanentError(f"{len(body)} bytes came where {size} were announced.")
        self.put(address, body)

    def fetch(self, url: str) -> bytes:
        """Answer a download as a real server would."""
        return self.get(url.removeprefix(self.uri_prefix))

    def put(self, key: str, body: bytes | Path) -> None:
        """Store bytes or a file; other bytes under a key that is taken are refused."""
        content = body.read_bytes() if isinstance(body, Path) else bytes(body)
        with self._lock:
            if self._objects.setdefault(check_key(key), content) != content:
                raise PermanentError(f"{key} is stored already, with other bytes.")

    def get(self, key: str) -> bytes:
        """Read an object whole."""
        with self._lock:
            if check_key(key) not in self._objects:
                raise PermanentError(f"{key} is not in the store.")
            return self._objects[key]

    def stat(self, key: str) -> StoredObject | None:
        """Look an object up."""
        with self._lock:
            content = self._objects.get(check_key(key))
        return None if content is None else StoredObject(key, len(content))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """List by prefix, in key order."""
        check_prefix(prefix)
        with self._lock:
            found = sorted((k, len(v)) for k, v in self._objects.items() if k.startswith(prefix))
        return (StoredObject(key, size) for key, size in found)

    def delete(self, key: str) -> None:
        """Remove an object; silent when it is not there."""
        with self._lock:
            self._objects.pop(check_key(key), None)

    def check(self) -> None:
        """Find nothing wrong: memory is always there."""

    def check_pages(self, origin: str) -> None:
        """Find nothing wrong: no browser comes here."""
