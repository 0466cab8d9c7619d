"""Changes to what the planner remembers of a group: one at a time, none is lost."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, select, update

from control.database.tables.worker_groups import worker_groups
from control.domain.scaling.memory import as_json, from_json
from control.domain.scaling.state import GroupMemory


def change(
    connection: Connection, group_id: str, after: Callable[[GroupMemory], GroupMemory]
) -> GroupMemory:
    """Change a group's memory; who comes second sees what the first one wrote."""
    kept = connection.execute(
        select(worker_groups.c.memory).where(worker_groups.c.id == group_id).with_for_update()
    ).scalar_one()
    before = from_json(kept)
    changed = after(before)
    if changed != before:
        connection.execute(
            update(worker_groups)
            .where(worker_groups.c.id == group_id)
            .values(memory=as_json(changed))
        )
    return changed
