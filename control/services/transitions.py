"""The one place that writes an execution's status: guarded, counted, recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from control.database.ids import new_id
from control.database.rows import AnyRow
from control.database.tables.environments import workers
from control.database.tables.executions import attempts, execution_counts, executions
from control.database.tables.people import decisions
from control.domain.retry import RECLAIMED
from control.domain.states import FINAL, Status, may_become

CountKey = tuple[str, str, str]
"""Project id, environment id, status."""


def change_status(
    connection: Connection,
    row: AnyRow,
    to: Status,
    now: datetime,
    **values: Any,
) -> bool:
    """Write a new status if the row still has the status and attempt it was read with.

    True when this call won. A final status ends the attempt that holds the execution, and so does
    going back to the queue.
    """
    old = Status(row.status)
    if not may_become(old, to):
        return False
    if to in FINAL:
        values = {"end_time": now, "phase": "done", **values}
    guard = [executions.c.id == row.id, executions.c.status == old]
    if row.attempt_id is not None:
        guard.append(executions.c.attempt_id == row.attempt_id)
    changed = connection.execute(
        update(executions).where(*guard).values(status=to, mtime=now, **values)
    )
    if changed.rowcount != 1:
        return False
    count(
        connection,
        {
            (row.project_id, row.environment_id, old): -1,
            (row.project_id, row.environment_id, to): 1,
        },
    )
    return True


def end_attempt(
    connection: Connection, attempt_id: str, *, outcome: str, reason: str, now: datetime
) -> bool:
    """Fence an attempt; True when it was still holding. Its worker's idle time begins again."""
    worker_id = connection.execute(
        update(attempts)
        .where(attempts.c.id == attempt_id, attempts.c.ended_at.is_(None))
        .values(ended_at=now, outcome=outcome, reason=reason)
        .returning(attempts.c.worker_id)
    ).scalar()
    if worker_id is None:
        return False
    connection.execute(update(workers).where(workers.c.id == worker_id).values(idle_since=now))
    return True


def reclaims_of(connection: Connection, execution_id: str) -> int:
    """Count the execution's attempts that ended because the cloud took the machine back."""
    return connection.execute(
        select(func.count()).where(
            attempts.c.execution_id == execution_id, attempts.c.reason == RECLAIMED
        )
    ).scalar_one()


def count(connection: Connection, changes: dict[CountKey, int]) -> None:
    """Add to the kept counts."""
    rows = [
        {"project_id": key[0], "environment_id": key[1], "status": str(key[2]), "count": change}
        for key, change in sorted(changes.items())
    ]
    connection.execute(_ADD[connection.dialect.name], rows)


def _add(insert_into: Any) -> Any:
    statement = insert_into(execution_counts)
    return statement.on_conflict_do_update(
        index_elements=["project_id", "environment_id", "status"],
        set_={"count": execution_counts.c.count + statement.excluded.count},
    )


_ADD = {"sqlite": _add(sqlite.insert), "postgresql": _add(postgresql.insert)}
"""Written at every change of a status, so built once."""


def counts_of(connection: Connection, project_ids: Iterable[str]) -> dict[str, Counter[str]]:
    """Read the kept counts: project id to status to number of executions not deleted."""
    found: dict[str, Counter[str]] = {}
    for row in connection.execute(
        select(execution_counts).where(execution_counts.c.project_id.in_(list(project_ids)))
    ):
        found.setdefault(row.project_id, Counter())[row.status] += row[3]
    return found


def record_decision(
    connection: Connection, kind: str, subject: str, reason: str, now: datetime
) -> None:
    """Keep why a loop changed something (decision 7)."""
    connection.execute(
        insert(decisions).values(
            id=new_id(now), time=now, kind=kind, subject=subject, reason=reason
        )
    )
