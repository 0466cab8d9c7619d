"""Child processes of a bench: started in their own session, bounded, ended by their own pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

KILL_GRACE_S = 5.0
POLL_S = 0.05


class BenchError(Exception):
    """A bench cannot go on; the message is one sentence for the person who runs it."""


def free_port() -> int:
    """Ask the kernel for a port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str, limit_s: float = 30.0) -> None:
    """Poll a condition until it holds; raises BenchError after `limit_s` seconds."""
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            raise BenchError(f"{what} did not happen within {limit_s:.0f} s.")
        time.sleep(POLL_S)


def listens(port: int) -> bool:
    """Tell whether something accepts connections on a port of loopback."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def start(
    argv: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process as the leader of its own session, its output appended to `log`."""
    with log.open("ab") as out:
        return subprocess.Popen(
            [str(part) for part in argv],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def _group_is_gone(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # reaps the leader, which would otherwise stay in its group as a zombie
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def stop(process: subprocess.Popen[bytes], grace_s: float = 8.0) -> None:
    """End a process that `start` made, and its session: politely, then for good."""
    for number, limit_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, KILL_GRACE_S)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(BenchError):
            wait_until(lambda: _group_is_gone(process), "the end of a process", limit_s)
            return


@contextmanager
def running(
    argv: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Keep a process up for the length of a `with` block."""
    process = start(argv, log, env=env, cwd=cwd)
    try:
        yield process
    finally:
        stop(process)


def output_of(
    argv: Sequence[str],
    *,
    limit_s: float = 120.0,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end and answer what it printed; raises BenchError when it fails."""
    try:
        done = subprocess.run(
            [str(part) for part in argv],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise BenchError(f"The program {argv[0]} is not installed.") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{argv[0]} took more than {limit_s:.0f} s.") from error
    if done.returncode:
        raise BenchError(f"{argv[0]} failed: {(done.stderr or done.stdout)[-1500:].strip()}")
    return done.stdout


def tail(log: Path, size_bytes: int = 1500) -> str:
    """Answer the end of a log, for an error message."""
    return log.read_bytes()[-size_bytes:].decode("utf-8", "replace").strip()
