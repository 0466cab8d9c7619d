"""Connections: many that read, one that writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url

from control.database.writer import BulkWork, Work, Writer

T = TypeVar("T")


class Database:
    """The truth (decision 2). SQLite in WAL mode or PostgreSQL 14+, by URL."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self._reading = _engine(url, pool_size=pool_size, begin="BEGIN")
        self._writing = _engine(url, pool_size=1, begin="BEGIN IMMEDIATE")
        self._starting = threading.Lock()
        self._writer: Writer | None = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection for a short look; whatever it writes is rolled back.

        Never make a network call inside.
        """
        with self._reading.connect() as connection:
            yield connection

    def submit(
        self, work: Work[T], *, after_commit: Callable[[list[Any]], None] | None = None
    ) -> Future[T]:
        """Hand work to the process's writer (see Writer.submit)."""
        return self._the_writer().submit(work, after_commit=after_commit)

    def write(self, work: Work[T], *, after_commit: Callable[[list[Any]], None] | None = None) -> T:
        """Run `work(connection)` in a transaction and wait for its commit."""
        return self.submit(work, after_commit=after_commit).result()

    def write_bulk(
        self,
        work: BulkWork,
        argument: Any,
        *,
        after_commit: Callable[[list[Any]], None] | None = None,
    ) -> Any:
        """Like `write`, sharing statements as well as the commit (see Writer.submit_bulk)."""
        return self._the_writer().submit_bulk(work, argument, after_commit=after_commit).result()

    def _the_writer(self) -> Writer:
        with self._starting:
            if self._writer is None:
                self._writer = Writer(self._writing)
            return self._writer

    @property
    def engine(self) -> Engine:
        """The reading engine, for migrations' checks and tests."""
        return self._reading

    @property
    def writing_engine(self) -> Engine:
        """The engine of the one writer; for migrations, before anything else writes."""
        return self._writing

    def close(self) -> None:
        """Finish pending writes and drop every connection."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._reading.dispose()
        self._writing.dispose()


def _engine(url: str, *, pool_size: int, begin: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=20 if pool_size > 1 else 0,
            connect_args={"check_same_thread": False, "timeout": 15},
        )
        _prepare_sqlite(engine, begin)
        return engine
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=20 if pool_size > 1 else 0,
        pool_pre_ping=pool_size > 1,
    )


def _prepare_sqlite(engine: Engine, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # durable; with grouped commits no slower than NORMAL
            "foreign_keys=ON",
            "busy_timeout=15000",
            "cache_size=-32000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
