"""Changes to what the planner remembers of a group: one at a time, none is lost."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, select, update

from control.database.rows import AnyRow
from control.database.tables.worker_groups import worker_groups
from control.domain.scaling.memory import as_json, from_json
from control.domain.scaling.state import GroupMemory, GroupPolicy

Change = Callable[[GroupMemory], GroupMemory]


def change(connection: Connection, group_id: str, after: Change) -> GroupMemory:
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


def policy_of(group: AnyRow) -> GroupPolicy:
    """Read what an operator chose from a group's row."""
    return GroupPolicy(
        name=group.name,
        environments=(group.environment_id,),
        rank=group.rank,
        slots=group.slots,
        minimum=group.min,
        maximum=group.max,
        price=group.price_per_hour_usd,
        spare=group.spare,
        idle_ttl_s=group.idle_ttl_s,
        stabilisation_s=group.stabilisation_s,
        boot_grace_s=group.boot_grace_s,
        burst=group.burst,
        growth=group.growth,
        hourly_budget=group.hourly_budget_usd,
        monthly_budget=group.monthly_budget_usd,
        config_version=group.config_version,
    )
