"""Many rows of one table in one statement, for the hot writes that share a commit.

PostgreSQL gets the rows as one JSON document: a driver's `executemany` binds every value of every
row by itself, which was a third of what a submission cost. SQLite's own `executemany` is as fast.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Connection, Table, TextClause, insert, text
from sqlalchemy.dialects import postgresql

from control.database.tables.base import Json

_DIALECT = postgresql.dialect()


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
) -> tuple[TextClause, dict[str, Any], tuple[str, ...]]:
    """The statement, the defaults of what is not given, and the columns that hold documents."""
    defaults = {
        f"{column.name}": getattr(column.default, "arg", None)  # a plain str, for orjson
        for column in table.c
        if column.name not in given and column.default is not None
    }
    columns = [column for column in table.c if column.name in given or column.name in defaults]
    names = ", ".join(f'"{column.name}"' for column in columns)
    types = ", ".join(f'"{column.name}" {column.type.compile(_DIALECT)}' for column in columns)
    statement = text(
        f'INSERT INTO "{table.name}" ({names}) SELECT {names} '  # noqa: S608 -- our own names
        f"FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given ({types})"
    )
    documents = tuple(column.name for column in columns if isinstance(column.type, Json))
    return statement, defaults, documents
