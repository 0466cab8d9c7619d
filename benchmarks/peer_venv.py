"""The peers' own environment, from a locked file, in a cache outside the checkout."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.processes import output_of

PEERS = Path(__file__).resolve().parent / "peers"
LOCK = PEERS / "requirements.lock"
INSTALL_LIMIT_S = 300.0
MEASURE_LIMIT_S = 240.0


def cache_folder() -> Path:
    """Name the folder that keeps the peers between runs: XDG_CACHE_HOME, else ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "talkoot" / "benchmarks"


def prepare() -> Path:
    """Build the peers' environment unless it is there; answer its folder of programs.

    The folder's name is the lock's hash, so a changed lock builds a new one.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(LOCK.read_bytes() + version.encode()).hexdigest()[:16]
    folder = cache_folder() / f"peers-{digest}"
    done = folder / "installed"
    if not done.exists():
        print("Installing the peers (Celery, minique, Procrastinate) into a cache …", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        output_of(
            [str(folder / "bin/pip"), "install", "-q", "--require-hashes", "-r", str(LOCK)],
            limit_s=INSTALL_LIMIT_S,
        )
        done.touch()
    return folder / "bin"


def drive(programs: Path, env: Mapping[str, str], peer: str, action: str, count: int) -> Any:
    """Run one measure of a peer's producer and answer its JSON."""
    argv = [str(programs / "python"), str(PEERS / "driver.py"), peer, action, str(count)]
    printed = output_of(argv, env=env, cwd=PEERS, limit_s=MEASURE_LIMIT_S)
    return json.loads(printed.strip().splitlines()[-1])
