"""What all benches of one run share: the scratch folder, the peers, and how long they measure."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import machine, peer_venv

SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Session:
    """One run. `rounds` alternate between ours and the peers; a quick one is a smoke test."""

    scratch: Path
    record: Path
    peers: Path
    rounds: int
    is_quick: bool
    quiet_limit_s: float

    def wait_quiet(self) -> None:
        """Wait, bounded, until nobody else uses the machine; say so when somebody does."""
        share = machine.wait_quiet(self.quiet_limit_s)
        if share > machine.QUIET_SHARE:
            print(f"  (others use {share:.0%} of the processors: figures are noisy)", flush=True)

    def within(self, name: str) -> Session:
        """Give one bench a folder of its own."""
        folder = self.scratch / name
        folder.mkdir(mode=0o711)
        return replace(self, scratch=folder)

    def sized(self, full: int, quick: int) -> int:
        """Choose the size of a measure."""
        return quick if self.is_quick else full

    def peer_env(self, queue_url: str, database_url: str = "") -> dict[str, str]:
        """Answer the variables that the peers' side reads."""
        return {
            "REDIS_URL": queue_url,
            "POSTGRESQL_URL": database_url,
            "BENCH_RECORD": str(self.record),
        }


@contextmanager
def opened(*, rounds: int, is_quick: bool) -> Iterator[Session]:
    """Make the scratch folder and the peers; remove the folder afterwards.

    /var/tmp lies on a disk where /tmp may be memory, and commits are measured. The jobs' record
    is on memory, so that appending to it costs the same everywhere.
    """
    scratch = Path(tempfile.mkdtemp(prefix="talkoot-bench-", dir="/var/tmp"))
    memory = SHARED_MEMORY if SHARED_MEMORY.is_dir() else scratch
    record = memory / f"{scratch.name}.record"
    try:
        yield Session(
            scratch,
            record,
            peer_venv.prepare(),
            rounds,
            is_quick,
            quiet_limit_s=5 if is_quick else 30,
        )
    finally:
        with suppress(FileNotFoundError):
            record.unlink()
        if os.environ.get("BENCH_KEEP"):
            print(f"Kept {scratch}.", flush=True)
        else:
            shutil.rmtree(scratch, ignore_errors=True)
