"""What an operator chose for a group, read from its row."""

from __future__ import annotations

from control.database.rows import AnyRow
from control.domain.scaling.state import GroupPolicy


def policy_of(row: AnyRow) -> GroupPolicy:
    """What an operator chose; a group that is switched off wants nothing and lets machines go."""
    is_on = row.is_enabled
    return GroupPolicy(
        name=row.name,
        environments=(row.environment_id,),
        rank=row.rank,
        slots=row.slots,
        minimum=row.min if is_on else 0,
        maximum=row.max if is_on else 0,
        price=row.price_per_hour_usd,
        spare=row.spare if is_on else 0,
        idle_ttl_s=float(row.idle_ttl_s),
        stabilisation_s=float(row.stabilisation_s),
        boot_grace_s=float(row.boot_grace_s),
        burst=row.burst,
        growth=row.growth,
        hourly_budget=row.hourly_budget_usd,
        monthly_budget=row.monthly_budget_usd,
        config_version=row.config_version,
    )
