"""The commit's archive: downloaded once, unpacked without trust."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import urllib3

from agent import wire
from agent.phases.failures import PhaseFailed
from agent.transfer.download import Expired, Failed, Wanted, fetch, raise_disk_full

FAILED = "code_download_failed"


@dataclass(frozen=True, slots=True)
class CodeTransfer:
    """Brings archives from the control service into a folder of archives by checksum."""

    folder: Path
    pool: urllib3.PoolManager
    absolute: Callable[[str], str]
    flight: Callable[[str, Callable[[], None]], AbstractContextManager[None]]
    """Lets one slot at a time have an archive, by its name."""

    def bring(
        self, code: wire.CodeSource, target: Path, *, check: Callable[[], None], is_cached: bool
    ) -> str:
        """Unpack the archive into `target`, which is made anew; give a sentence."""
        archive = self.folder / f"{code.sha256}.tar.gz"
        with self.flight(archive.name, check):
            came = "from cache"
            if not is_cached or not archive.exists():
                self._download(code, archive, check)
                came = "downloaded"
            count = _unpack_anew(archive, target)
        return f"Code: {_size(code.size_bytes)} unpacked, {count} files ({came})"

    def _download(self, code: wire.CodeSource, archive: Path, check: Callable[[], None]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = archive.with_suffix(".part")
        wanted = Wanted(self.absolute(code.url), draft, code.size_bytes, {"sha256": code.sha256})
        try:
            fetch(wanted, self.pool, on_bytes=lambda _: None, check=check)
        except (Failed, Expired) as error:
            raise PhaseFailed(FAILED, f"The code cannot be downloaded: {error}") from error
        draft.replace(archive)

    def drop_old(self, keep: int) -> None:
        """Keep the `keep` newest archives."""
        archives = sorted(self.folder.glob("*.tar.gz"), key=lambda one: one.stat().st_mtime)
        for old in archives[: max(0, len(archives) - keep)]:
            old.unlink(missing_ok=True)


def _unpack_anew(archive: Path, target: Path) -> int:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    try:
        return unpack(archive, target)
    except OSError as error:
        raise_disk_full(error)
        raise PhaseFailed(FAILED, f"The code cannot be unpacked: {error}") from error
    except (tarfile.TarError, EOFError) as error:
        archive.unlink(missing_ok=True)
        raise PhaseFailed(FAILED, f"The code's archive is broken: {error}") from error


def unpack(archive: Path, target: Path) -> int:
    """Unpack files, directories and links that stay inside; give the number of files.

    Raises PhaseFailed for anything that points out of `target` or is neither.
    """
    count = 0
    with tarfile.open(archive, "r:gz") as tar:
        # Debian 12's Python 3.11.2 has no filters; where there are some, ours has decided already.
        tar.extraction_filter = lambda member, _: member
        for member in tar:
            if member.type in (tarfile.XHDTYPE, tarfile.XGLTYPE):
                continue
            _refuse_hostile(member, target)
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = member.mode & 0o755 | (0o700 if member.isdir() else 0o600)
            tar.extract(member, target)
            count += member.isfile()
    return count


def _refuse_hostile(member: tarfile.TarInfo, target: Path) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise PhaseFailed(FAILED, f"The code's archive is refused: {member.name!r} leaves it")
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        raise PhaseFailed(FAILED, f"The code's archive is refused: {member.name!r} is a device")
    # Only the disk can tell what a link that came before makes of a name.
    place = target / member.name
    ends = [place]
    if member.issym():
        ends.append(place.parent / member.linkname)
    elif member.islnk():
        ends.append(target / member.linkname)
    inside = os.path.realpath(target)
    if not all(Path(os.path.realpath(end)).is_relative_to(inside) for end in ends):
        raise PhaseFailed(FAILED, f"The code's archive is refused: {member.name!r} leaves it")


def _size(size_bytes: int) -> str:
    if size_bytes < 1024:
        return f"{size_bytes} B"
    if size_bytes < 1024**2:
        return f"{size_bytes / 1024:.1f} KiB"
    return f"{size_bytes / 1024**2:.1f} MiB"
