"""What an operator chose for a group, read from its row."""

from __future__ import annotations

from control.database.rows import AnyRow
from control.domain.scaling.state import GroupPolicy


def policy_of(group: AnyRow) -> GroupPolicy:
    """Read a group's policy."""
    return GroupPolicy(
        name=group.name,
        environments=(group.environment_id,),
        rank=group.rank,
        slots=group.slots,
        minimum=group.min,
        maximum=group.max,
        price=group.price_per_hour_usd,
        boot_grace_s=group.boot_grace_s,
        burst=group.burst,
        config_version=group.config_version,
    )
