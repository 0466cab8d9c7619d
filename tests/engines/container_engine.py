"""A real Docker engine: the one that answers here already, else a private one.

Test runs on one machine share the private one: two at once would fight over one bridge and one set
of packet rules. The first run starts it, the others use it, and the last one to leave stops it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import docker
from docker.errors import DockerException

from tests.engines import apt
from tests.engines.places import cache, only_one_at_a_time, shared_runtime
from tests.engines.processes import Server, wait_until


@dataclass(frozen=True)
class DockerEngine:
    """Where the engine answers: `host` is what DOCKER_HOST wants."""

    host: str
    pid: int | None = None  # of an engine apart, whose network namespace others may enter

    @property
    def environment(self) -> dict[str, str]:
        return {"DOCKER_HOST": self.host}

    def client(self) -> docker.DockerClient:
        """Answer a new client; the caller closes it."""
        return docker.DockerClient(base_url=self.host, timeout=120)


@contextmanager
def docker_engine() -> Iterator[DockerEngine]:
    """Lend an engine that answers."""
    for host in (os.environ.get("DOCKER_HOST"), "unix:///var/run/docker.sock"):
        if host and answers(host):
            yield DockerEngine(host)
            return
    with _shared_engine() as engine:
        yield engine


@contextmanager
def engine_apart() -> Iterator[DockerEngine]:
    """Start an engine for a test that removes every image: the others must keep theirs.

    It has a network namespace of its own, with its own bridge and packet rules: beside another
    engine in one namespace it would take that one's bridge away.
    """
    dockerd = apt.program("dockerd", "docker.io", "iptables")
    busybox = apt.program("busybox", "busybox-static")
    if os.geteuid() != 0:
        apt.give_up("only root can start a Docker engine; run the tests as root")
    with tempfile.TemporaryDirectory(prefix="talkoot-docker-", dir=cache()) as data:
        place = Path(tempfile.mkdtemp(prefix="talkoot-docker-"))
        host = f"unix://{place / 'docker.sock'}"
        (place / "docker.json").write_text("{}\n")
        server = Server(
            [
                *("unshare", "--net", "sh", "-c", '"$0" ip link set lo up; exec "$@"', busybox),
                *(dockerd, "--config-file", place / "docker.json", "--data-root", data),
                *("--exec-root", place / "run", "--pidfile", place / "docker.pid"),
                *("--host", host, "--group", "root"),
            ],
            log=place / "docker.log",
            is_ready=lambda: answers(host),
        )
        try:
            server.start(limit_s=60)
            yield DockerEngine(host, server.pid)
        finally:
            server.stop()
            shutil.rmtree(place)


def answers(host: str) -> bool:
    """Tell whether an engine answers at `host`."""
    if host.startswith("unix://") and not _listens(Path(host.removeprefix("unix://"))):
        return False
    try:
        client = docker.DockerClient(base_url=host, timeout=10)
    except DockerException:
        return False
    try:
        return bool(client.ping())
    except (DockerException, OSError):
        return False
    finally:
        client.close()


def _listens(path: Path) -> bool:
    # Asked first, for the Docker client leaves a socket open when nobody listens.
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(str(path))
        except OSError:
            return False
    return True


@contextmanager
def _shared_engine() -> Iterator[DockerEngine]:
    place = shared_runtime()
    host = f"unix://{place / 'docker.sock'}"
    dockerd = apt.program("dockerd", "docker.io", "iptables")
    apt.program("iptables", "iptables")
    if os.geteuid() != 0:
        apt.give_up(
            "no Docker engine answers, and only root can start one: sudo systemctl start docker"
        )
    with (cache() / "docker.users").open("a") as users:
        with only_one_at_a_time("docker"):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not answers(host):
                _start(dockerd, host, place)
        try:
            yield DockerEngine(host)
        finally:
            _leave(users, place / "docker.pid")


def _start(dockerd: Path, host: str, place: Path) -> None:
    settings = place / "docker.json"
    settings.write_text("{}\n")
    (place / "docker.pid").unlink(missing_ok=True)
    # Detached: the run that starts the engine may end before the others that use it.
    with (place / "docker.log").open("ab") as log:
        subprocess.run(
            [
                *("setsid", "--fork", dockerd),
                *("--config-file", settings),
                *("--data-root", cache() / "docker"),
                *("--exec-root", place / "docker"),
                *("--pidfile", place / "docker.pid"),
                *("--host", host),
                *("--group", "root"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=True,
        )
    wait_until(lambda: answers(host), what=f"the Docker engine (its log: {log.name})", limit_s=60)


def _leave(users: IO[str], pid_file: Path) -> None:
    with only_one_at_a_time("docker"):
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if not pid_file.exists():
            return
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
        wait_until(lambda: not pid_file.exists(), what="the engine's end", limit_s=30)
