"""A private PostgreSQL cluster on loopback. A crash may lose its data: that makes it fast."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from tests.engines import apt
from tests.engines.places import free_port
from tests.engines.processes import Server

_SPEED = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "jit=off")


@dataclass(frozen=True)
class Postgres:
    """A running cluster; every test takes a database of its own."""

    port: int

    def url(self, database: str = "postgres") -> str:
        """Answer the address as SQLAlchemy writes it."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self, *, template: str = "") -> Iterator[str]:
        """Lend a database, by its address: empty, or a copy of the one at `template`.

        It is dropped with whoever is still connected.
        """
        name = f"talkoot_{uuid.uuid4().hex[:12]}"
        model = template.rpartition("/")[2] or "template1"
        self._say(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(model)
            )
        )
        try:
            yield self.url(name)
        finally:
            self._say(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _say(self, statement: sql.Composed) -> None:
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a cluster, and remove it afterwards."""
    initdb = apt.program("initdb", "postgresql", folders=("/usr/lib/postgresql/*/bin",)).resolve()
    # PostgreSQL refuses to run as root; Debian's package brings a user for it.
    user = "postgres" if os.geteuid() == 0 else None
    place = Path(tempfile.mkdtemp(prefix="talkoot-postgres-"))
    if user:
        os.chown(place, pwd.getpwnam(user).pw_uid, -1)
    try:
        subprocess.run(
            [
                initdb,
                "-D",
                place / "cluster",
                "-A",
                "trust",
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            user=user,
            cwd=place,
        )
        with _running(initdb.with_name("postgres"), place, user) as cluster:
            yield cluster
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _running(program: Path, place: Path, user: str | None) -> Iterator[Postgres]:
    port = free_port()
    wishes = ["listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={place}"]
    options = [part for wish in (*wishes, "max_connections=200", *_SPEED) for part in ("-c", wish)]

    def answers() -> bool:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    server = Server(
        [program, "-D", place / "cluster", *options],
        log=place / "postgres.log",
        is_ready=answers,
        user=user,
        stop_signal=signal.SIGINT,  # SIGTERM would wait for whoever is still connected
    )
    server.start()
    try:
        yield Postgres(port)
    finally:
        server.stop()
