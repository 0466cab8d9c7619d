"""One upload into the local store: written aside, then linked into its place at once."""

from __future__ import annotations

import errno
import filecmp
import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from control.domain.errors import PermanentError, TemporaryError

INCOMING = ".incoming~"  # `~` is in no key, so it can not clash with one
_FOLDER_ATTEMPTS = 5


class Upload:
    """Bytes on their way in. Leaving the context without `commit` aborts."""

    def __init__(self, root: Path, key: str, size_bytes: int) -> None:
        self.key = key
        self.size_bytes = size_bytes
        self.received_bytes = 0
        self._target = root / key
        self._part = root / INCOMING / secrets.token_hex(16)
        try:
            self._file = self._part.open("xb")
        except OSError as error:
            raise explain_write_error(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    def write(self, chunk: bytes | memoryview) -> None:
        """Add bytes; PermanentError as soon as there are more than were signed."""
        self.received_bytes += len(chunk)
        if self.received_bytes > self.size_bytes:
            raise PermanentError(f"More than the {self.size_bytes} bytes announced came.")
        try:
            self._file.write(chunk)
        except OSError as error:
            raise explain_write_error(error) from error

    def commit(self) -> None:
        """Put the object into its place, on disk before we return.

        The same bytes under a key that is taken are fine (a repeated upload); others are
        refused with PermanentError.
        """
        if self.received_bytes != self.size_bytes:
            raise PermanentError(
                f"{self.received_bytes} bytes came where {self.size_bytes} were announced."
            )
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            if self._link():
                _sync_folder(self._target.parent)
            elif not filecmp.cmp(self._part, self._target, shallow=False):
                raise PermanentError(f"{self.key} is stored already, with other bytes.")
        except OSError as error:
            raise explain_write_error(error) from error
        self.abort()

    def abort(self) -> None:
        """Throw away what was written aside; harmless after `commit` and when repeated."""
        with suppress(OSError):  # a full disk fails again here; the bytes are thrown away anyway
            self._file.close()
        self._part.unlink(missing_ok=True)

    def _link(self) -> bool:
        # A link, not a rename: it fails where something is, so no two uploads can both win.
        for _ in range(_FOLDER_ATTEMPTS):
            self._target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(self._part, self._target)
            except FileExistsError:
                if self._target.is_dir():
                    raise PermanentError(f"{self.key} is the beginning of other keys.") from None
                return False
            except FileNotFoundError:
                continue  # a delete took the empty folder between the two calls
            return True
        raise TemporaryError(f"The folder of {self.key} keeps going away.")


def explain_write_error(error: OSError) -> Exception:
    """Say what a failed write means to people; a full disk may be emptied, so it is temporary."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return TemporaryError("The store's disk is full.", delay_s=30)
    return PermanentError(f"The store cannot be written: {error.strerror}.")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
