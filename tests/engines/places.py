"""Where the engines keep things, and how test runs on one machine keep out of each other's way."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache() -> Path:
    """Answer the folder for what is slow to make: outside the checkout, kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "talkoot-engines"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def shared_runtime() -> Path:
    """Answer the folder for sockets and pid files; short, for a socket's path has 107 bytes."""
    folder = Path(tempfile.gettempdir()) / f"talkoot-engines-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def free_port() -> int:
    """Answer a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def only_one_at_a_time(name: str) -> Iterator[None]:
    """Hold a lock that other test runs on this machine respect."""
    with (cache() / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
