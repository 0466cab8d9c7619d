"""Many rows of one table in one statement, for the hot writes that share a commit.

PostgreSQL gets the rows as one JSON document: a driver's `executemany` binds every value of every
row by itself, which was a third of what a submission cost. SQLite's own `executemany` is as fast.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import (
    Column,
    Connection,
    Insert,
    Table,
    Text,
    bindparam,
    cast,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from control.database.tables.base import Json


def insert_rows(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows that have the same keys; defaults of missing columns are filled in."""
    if not rows:
        return
    if connection.dialect.name != "postgresql":
        connection.execute(insert(table), rows)
        return
    statement, defaults, documents = _prepared(table, tuple(rows[0]))
    written = [{**defaults, **row} for row in rows]
    for row in written:
        for name in documents:
            value = row[name]
            if value is not None:
                row[name] = orjson.dumps(value).decode()
    connection.execute(statement, {"rows": orjson.dumps(written).decode()})


@lru_cache(maxsize=100)
def _prepared(
    table: Table, given: tuple[str, ...]
) -> tuple[Insert, dict[str, Any], tuple[str, ...]]:
    """The statement, the defaults of what is not given, and the columns that hold documents."""
    defaults = {
        f"{column.name}": getattr(column.default, "arg", None)  # a plain str, for orjson
        for column in table.c
        if column.name not in given and column.default is not None
    }
    columns = [column for column in table.c if column.name in given or column.name in defaults]
    names = [column.name for column in columns]
    document = func.jsonb_to_recordset(cast(bindparam("rows", type_=Text), JSONB))
    rows = document.table_valued(*(Column(one.name, one.type) for one in columns))
    written = select(rows.render_derived(name="written", with_types=True))
    statement = insert(table).from_select(names, written, include_defaults=False)
    documents = tuple(column.name for column in columns if isinstance(column.type, Json))
    return statement, defaults, documents
