"""Looks through an uploaded package before anything unpacks it. Pure: the caller opens the stream.

A client sends a gzip tar (client-contract.md 2.4); its identifier is `~` and the SHA-256 of the
exact bytes, which the caller computes while it stores them. Nothing is written here: members are
read and thrown away, but for the configuration file.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, Self, TypeVar

from control.domain.package_tree import PackageTree, fault

M = TypeVar("M", bound=tarfile.TarInfo)

DEFAULT_YAML_PATH = "valohai.yaml"
_PIECE_BYTES: Final = 1 << 16
# tarfile skips what a header announces piece by piece, and goes on long after the end.
_EMPTY_READS: Final = 10
_HEADER_BYTES: Final = 1 << 20
_HEADERS_WITH_A_BODY: Final = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What a package may be. The counts are the client's own limits, twice over."""

    member_count: int = 20_000
    unpacked_bytes: int = 4 << 30
    ratio: int = 200
    """Unpacked bytes for each packed one, looked at above `ratio_from_bytes`."""
    ratio_from_bytes: int = 64 << 20
    yaml_bytes: int = 4 << 20


@dataclass(frozen=True, slots=True)
class ArchiveFacts:
    """What was found. `yaml` is None when the configuration file is not in the package."""

    member_count: int
    unpacked_bytes: int
    yaml: bytes | None = field(repr=False)


def inspect_archive(
    stream: BinaryIO,
    limits: ArchiveLimits | None = None,
    *,
    yaml_path: str = DEFAULT_YAML_PATH,
) -> ArchiveFacts:
    """Read a package to its end, or raise Invalid("data") saying what is wrong with it.

    The stream is read once, from front to end, and is not closed.
    """
    limits = limits or ArchiveLimits()
    measured = _Measured(stream, limits)
    try:
        facts = _read(measured, limits, _plain(yaml_path))
        while measured.read(_PIECE_BYTES):  # what stands behind the end may be damaged, or a bomb
            pass
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        raise fault("The package is not a whole gzip tar file.") from error
    # Python's tarfile meets hostile numbers and endless chains of headers with these.
    except (ValueError, OverflowError, RecursionError) as error:
        raise fault("The package is not a sound tar file.") from error
    return facts


class _Counted(io.RawIOBase):
    """Counts the packed bytes that are read through it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        piece = self._stream.read(size)
        self.count += len(piece)
        return piece


class _Measured(io.RawIOBase):
    """The unpacked stream, which ends with Invalid at the limits, however the bytes are made."""

    def __init__(self, stream: BinaryIO, limits: ArchiveLimits) -> None:
        self._packed = _Counted(stream)
        self._unpacked = gzip.GzipFile(fileobj=self._packed, mode="rb")
        self._limits = limits
        self._count = 0
        self._empty_count = 0

    def read(self, size: int = -1, /) -> bytes:
        piece = self._unpacked.read(_PIECE_BYTES if size < 0 else min(size, _PIECE_BYTES))
        self._empty_count = 0 if piece else self._empty_count + 1
        if self._empty_count > _EMPTY_READS:
            raise EOFError
        self._count += len(piece)
        if self._count > self._limits.unpacked_bytes:
            limit_mib = self._limits.unpacked_bytes >> 20
            raise fault(f"The package unpacks to more than {limit_mib} MiB.")
        if self._count > max(
            self._limits.ratio_from_bytes, self._packed.count * self._limits.ratio
        ):
            raise fault("The package unpacks to far more than its size: it looks like a bomb.")
        return piece


class _Member(tarfile.TarInfo):
    """A header that is refused where tarfile would end in silence, or read without a bound."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        return _guarded(super().frombuf, buf, encoding, errors)

    @classmethod
    def _frombuf(cls, buf: bytes | bytearray, *rest: Any, **named: Any) -> Self:
        # Pythons with the fixes of 2026, Debian's among them, read headers by this name.
        inherited: Callable[..., Self] = getattr(super(), "_frombuf")  # noqa: B009 -- not in stubs
        return _guarded(inherited, buf, *rest, **named)


def _guarded(read: Callable[..., M], buf: bytes | bytearray, *rest: Any, **named: Any) -> M:
    try:
        member = read(buf, *rest, **named)
    except tarfile.HeaderError as error:
        if not buf.strip(b"\0"):
            raise  # zeros, or nothing: the end, as tarfile knows
        raise fault("The package is damaged.") from error
    if member.type in _HEADERS_WITH_A_BODY and member.size > _HEADER_BYTES:
        raise fault("The package has a header that is too large.")
    return member


def _read(measured: _Measured, limits: ArchiveLimits, yaml_path: str) -> ArchiveFacts:
    tree = PackageTree()
    member_count = unpacked_bytes = 0
    yaml: bytes | None = None
    with tarfile.open(fileobj=measured, mode="r|", tarinfo=_Member, errorlevel=2) as archive:
        for member in archive:
            member_count += 1
            if member_count > limits.member_count:
                raise fault(f"The package holds more than {limits.member_count} files.")
            _check_size(member)
            tree.add(member)
            unpacked_bytes += member.size if member.isreg() else 0
            if member.isreg() and _plain(member.name) == yaml_path:
                yaml = _read_yaml(archive, member, limits)
    tree.check_links()
    if not member_count:
        raise fault("The package is empty.")
    return ArchiveFacts(member_count, unpacked_bytes, yaml)


def _check_size(member: tarfile.TarInfo) -> None:
    """Refuse a second size that is no number: older Pythons silently take it for nothing."""
    size = member.pax_headers.get("size")
    if size is not None and not (size.isascii() and size.isdigit()):
        raise fault("The package is not a sound tar file.")


def _read_yaml(archive: tarfile.TarFile, member: tarfile.TarInfo, limits: ArchiveLimits) -> bytes:
    file = archive.extractfile(member)
    if file is None or member.size > limits.yaml_bytes:
        raise fault(f"{member.name} is larger than {limits.yaml_bytes >> 20} MiB.")
    return file.read()


def _plain(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in {"", "."})
