"""The one writer: shared commits, separate failures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from control.database.session import Database
from control.domain.errors import Conflict


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    made.write(
        lambda connection: (
            connection.execute(text("CREATE TABLE numbers (n INTEGER UNIQUE)")) and None
        )
    )
    yield made
    made.close()


def insert(number: int) -> Any:
    def work(connection: Connection) -> int:
        connection.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": number})
        return number

    return work


def numbers(database: Database) -> list[int]:
    with database.read() as connection:
        return sorted(connection.scalars(text("SELECT n FROM numbers")))


def blocked(database: Database) -> threading.Event:
    """Hold the writer until the event is set, so that what comes next shares a batch."""
    release, held = threading.Event(), threading.Event()
    database.submit(lambda _: (held.set(), release.wait(10)))
    assert held.wait(10)
    return release


def test_a_piece_that_fails_is_undone_alone(database: Database) -> None:
    release = blocked(database)

    def fail(connection: Connection) -> None:
        connection.execute(text("INSERT INTO numbers VALUES (99)"))
        raise Conflict

    first, failing, second = (
        database.submit(insert(1)),
        database.submit(fail),
        database.submit(insert(2)),
    )
    release.set()
    assert (first.result(10), second.result(10)) == (1, 2)
    with pytest.raises(Conflict):
        failing.result(10)
    assert numbers(database) == [1, 2]


def test_bulk_work_is_called_once_a_batch_and_keeps_the_order(database: Database) -> None:
    calls: list[list[int]] = []
    after: list[list[int]] = []

    def bulk(connection: Connection, given: list[int]) -> list[int]:
        calls.append(given)
        return [number * 10 for number in given]

    release = blocked(database)
    writer = database._the_writer()
    futures = [writer.submit_bulk(bulk, n, after_commit=after.append) for n in range(5)]
    release.set()
    assert [future.result(10) for future in futures] == [0, 10, 20, 30, 40]
    assert calls == [[0, 1, 2, 3, 4]]
    assert after == [[0, 10, 20, 30, 40]]


def test_what_was_submitted_before_the_end_is_written(database: Database) -> None:
    futures = [database.submit(insert(n)) for n in range(50)]
    database.close()
    assert [future.result(10) for future in futures] == list(range(50))
    assert numbers(database) == list(range(50))


def test_reading_never_writes(database: Database) -> None:
    with database.read() as connection:
        connection.execute(text("INSERT INTO numbers VALUES (7)"))
    assert numbers(database) == []
