"""The one writer of a process: puts every piece of work that waits into one transaction.

A commit costs the same for one row as for a hundred (performance-anchors.md section 4), so under
load requests share commits; each still waits for its own. A piece that raises is rolled back
alone: the batch is undone and its pieces are run again one by one.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Engine

from control.domain.errors import TalkootError

T = TypeVar("T")
Work = Callable[[Connection], T]
log = structlog.get_logger()

MAX_BATCH = 128
"""Pieces a transaction; beyond that the first would wait noticeably for the last."""


BulkWork = Callable[[Connection, list[Any]], list[Any]]
"""Work on many arguments at once: one result an argument, in order."""


class _Piece:
    """One argument of a piece of work, and who waits for it."""

    __slots__ = ("after_commit", "argument", "future", "work")

    def __init__(
        self,
        work: BulkWork,
        argument: Any,
        after_commit: Callable[[list[Any]], None] | None,
    ) -> None:
        self.work = work
        self.argument = argument
        self.after_commit = after_commit
        self.future: Future[Any] = Future()


def _run_each(connection: Connection, works: list[Work[Any]]) -> list[Any]:
    return [work(connection) for work in works]


class Writer:
    """A thread that owns the process's writing connection. Close it to let the thread end."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pieces: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()

    def submit(
        self, work: Work[T], *, after_commit: Callable[[list[Any]], None] | None = None
    ) -> Future[T]:
        """Run `work(connection)` in a transaction; the future holds its result after the commit.

        `work` may be run twice, so it changes nothing but the database. `after_commit` is called
        once a batch with the results of all pieces that named the same function, before their
        futures are resolved; it must not raise.
        """
        return self.submit_bulk(_run_each, work, after_commit=after_commit)

    def submit_bulk(
        self,
        work: BulkWork,
        argument: Any,
        *,
        after_commit: Callable[[list[Any]], None] | None = None,
    ) -> Future[Any]:
        """Like `submit`, for work that is cheaper for many rows than for one.

        All arguments of a batch that name the same `work` reach it in one call.
        """
        piece = _Piece(work, argument, after_commit)
        self._pieces.put(piece)
        return piece.future

    def close(self) -> None:
        """Finish what waits, then end the thread."""
        self._pieces.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while True:
            batch, is_last = self._take()
            if batch:
                self._write(batch)
            if is_last:
                return

    def _take(self) -> tuple[list[_Piece], bool]:
        first = self._pieces.get()
        if first is None:
            return [], True
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                piece = self._pieces.get_nowait()
            except queue.Empty:
                break
            if piece is None:
                return batch, True
            batch.append(piece)
        return batch, False

    def _write(self, batch: list[_Piece]) -> None:
        try:
            with self._engine.begin() as connection:
                results = _call(connection, batch)
        except Exception as error:  # noqa: BLE001 -- whatever a piece raises belongs to its waiter
            if len(batch) == 1:
                if not isinstance(error, TalkootError):
                    log.warning("write_failed", error=repr(error))
                batch[0].future.set_exception(error)
                return
            for piece in batch:
                self._write([piece])
            return
        _after_commit(batch, results)
        for piece, result in zip(batch, results, strict=True):
            piece.future.set_result(result)


def _call(connection: Connection, batch: list[_Piece]) -> list[Any]:
    """Run every work once with all its arguments; results in the order of the batch."""
    works: dict[BulkWork, list[int]] = {}
    for index, piece in enumerate(batch):
        works.setdefault(piece.work, []).append(index)
    results: list[Any] = [None] * len(batch)
    for work, indexes in works.items():
        found = work(connection, [batch[index].argument for index in indexes])
        for index, result in zip(indexes, found, strict=True):
            results[index] = result
    return results


def _after_commit(batch: list[_Piece], results: list[Any]) -> None:
    """Call each function named in the batch once, with its pieces' results in order."""
    waiting: list[tuple[Callable[[list[Any]], None], list[Any]]] = []
    for piece, result in zip(batch, results, strict=True):
        if piece.after_commit is None:
            continue
        for function, collected in waiting:
            if function == piece.after_commit:
                collected.append(result)
                break
        else:
            waiting.append((piece.after_commit, [result]))
    for function, collected in waiting:
        function(collected)
