"""The floor of a submit: bare Flask and one durable, group-committed INSERT.

No authentication, no validation, no queue. One writer thread commits all rows that wait in one
transaction; each request waits for its own commit. `DB_URL` names the database.
"""

from __future__ import annotations

import os
import queue
import threading
import uuid
from concurrent.futures import Future
from contextlib import suppress

import orjson
import sqlalchemy as sa
from flask import Flask, Response
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

BATCH_ROWS = 200
COMMIT_LIMIT_S = 30
PAYLOAD = (
    '{"command":"python train.py --epochs 10","image":"busybox","params":{"lr":0.001,"bs":64}}'
)

engine = sa.create_engine(os.environ["DB_URL"], pool_size=10, max_overflow=0, pool_timeout=30)
if engine.dialect.name == "sqlite":

    @event.listens_for(engine, "connect")
    def _configure(connection: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=wal", "synchronous=FULL", "busy_timeout=20000"):
            cursor.execute(f"pragma {pragma}")
        cursor.close()


table = sa.Table(
    "floor_rows",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uid", sa.String(36), unique=True),
    sa.Column("project", sa.Integer, index=True),
    sa.Column("status", sa.String(16)),
    sa.Column("payload", sa.Text),
)
insert = sa.insert(table)
with suppress(SQLAlchemyError):  # of two workers that begin together, one makes it
    table.metadata.create_all(engine)

Waiting = tuple[dict[str, object], "Future[None]"]
waiting: queue.SimpleQueue[Waiting] = queue.SimpleQueue()
app = Flask(__name__)


def _commit(taken: list[Waiting]) -> None:
    try:
        with engine.begin() as connection:
            connection.execute(insert, [row for row, _ in taken])
    except SQLAlchemyError as error:
        for _, done in taken:
            done.set_exception(error)
        return
    for _, done in taken:
        done.set_result(None)


def _write() -> None:
    while True:
        taken = [waiting.get()]
        while len(taken) < BATCH_ROWS and not waiting.empty():
            taken.append(waiting.get())
        _commit(taken)


threading.Thread(target=_write, daemon=True).start()


@app.post("/group")
def group() -> Response:
    """Insert one row and answer when it is durable."""
    done: Future[None] = Future()
    uid = str(uuid.uuid4())
    waiting.put(({"uid": uid, "project": 1, "status": "queued", "payload": PAYLOAD}, done))
    done.result(COMMIT_LIMIT_S)
    return Response(orjson.dumps({"id": uid}), status=201, mimetype="application/json")


@app.get("/ready")
def ready() -> str:
    """Answer that the server is up."""
    return "ready"
