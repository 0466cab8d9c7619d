"""Runs the `git` program within limits: time, output, protocols, and nothing of the user's own."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from control.domain.errors import PermanentError, TemporaryError

ANSWER_BYTES = 64 << 20
FILE_LIMIT_BYTES = 8 << 30  # of one file that git writes: a pack
_ERROR_BYTES = 64 << 10
_PIECE_BYTES = 1 << 16
REMOTE_PROTOCOLS = "https:http:ssh:git"
_INHERITED = (
    "PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
    "http_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY",
)  # fmt: skip

# A file, not the environment: git hides its own variables from the server that it starts for a
# local path, but shows it this one.
CONFIGURATION = """\
[core]
    hooksPath = /dev/null
    fsmonitor = false
    askPass =
[credential]
    helper =
[safe]
    # A mirror of ours, or a path that the operator allowed; there is nothing in it that we run.
    directory = *
[fetch]
    recurseSubmodules = false
    fsckObjects = true
[fetch "fsck"]
    # Old histories have such faults, and none of them can harm us.
    badTimezone = ignore
    missingSpaceBeforeDate = ignore
    missingSpaceBeforeEmail = ignore
    zeroPaddedFilemode = ignore
[gc]
    auto = 0
[maintenance]
    auto = false
[http]
    followRedirects = initial
    lowSpeedLimit = 1000
    lowSpeedTime = 30
[tar]
    umask = 0022
"""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended. `error` is what it wrote to standard error, at most 64 KiB."""

    status: int
    output: bytes
    error: str


def environment(
    configuration: Path, *, allow_local: bool, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Make the environment of a git process: PATH and proxies are ours, nothing else is."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {
        "PATH": os.defpath,
        **inherited,
        "HOME": str(configuration.parent),
        "LC_ALL": "C",  # the errors are told apart by their English words
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(configuration),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": REMOTE_PROTOCOLS + (":file" if allow_local else ""),
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        **(extra or {}),
    }


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    limit_s: float,
    output_bytes: int = ANSWER_BYTES,
    file_bytes: int = FILE_LIMIT_BYTES,
    sink: Callable[[bytes], object] | None = None,
) -> Finished:
    """Run a command to its end, its output whole in the answer or piece by piece into `sink`.

    No file that it writes grows beyond `file_bytes`. After `limit_s` seconds, or `output_bytes` of
    output, the whole process group is killed: TemporaryError, or PermanentError. What git started
    (ssh, a remote helper) goes with it.
    """
    kept = bytearray()
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise PermanentError(f"The program {command[0]} is not installed.") from error
    _limit_files(process.pid, file_bytes)
    watch = _Watch(process, limit_s)
    try:
        complete = _drain(process, sink or kept.extend, output_bytes)
        process.wait()
    finally:
        watch.end()
    if watch.is_late:
        raise TemporaryError(f"The Git server took longer than {limit_s:.0f} seconds.", delay_s=30)
    if not complete:
        raise PermanentError(f"Git answered more than {output_bytes >> 20} MiB.")
    return Finished(process.returncode, bytes(kept), watch.error_text())


class _Watch:
    """Reads standard error on the side and kills the process group when the time is over."""

    def __init__(self, process: subprocess.Popen[bytes], limit_s: float) -> None:
        self.is_late = False
        self._process = process
        self._error = bytearray()
        self._timer = threading.Timer(limit_s, self._too_late)
        self._timer.daemon = True
        self._reader = threading.Thread(target=self._read_error, daemon=True)
        self._timer.start()
        self._reader.start()

    def end(self) -> None:
        """Kill what is left of the group, and wait for all of it."""
        self._timer.cancel()
        _kill_group(self._process)
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def error_text(self) -> str:
        return self._error.decode(errors="replace")

    def _too_late(self) -> None:
        self.is_late = True
        _kill_group(self._process)

    def _read_error(self) -> None:
        if self._process.stderr is None:
            return
        with self._process.stderr as stream:
            while piece := os.read(stream.fileno(), _PIECE_BYTES):
                self._error += piece[: _ERROR_BYTES - len(self._error)]


def _drain(
    process: subprocess.Popen[bytes], sink: Callable[[bytes], object], output_bytes: int
) -> bool:
    if process.stdout is None:
        return True
    left_bytes = output_bytes
    while piece := os.read(process.stdout.fileno(), _PIECE_BYTES):
        left_bytes -= len(piece)
        if left_bytes < 0:
            _kill_group(process)
            return False
        sink(piece)
    return True


def _limit_files(pid: int, file_bytes: int) -> None:
    # From outside: what runs between fork and exec must not be Python where there are threads.
    # git starts what writes a pack long after this.
    if sys.platform == "linux":
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (file_bytes, file_bytes))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
