"""How many machines the money allows. Source: infrastructure.md 3.3 step 5."""

from __future__ import annotations

from datetime import datetime
from math import floor, inf

from control.domain.scaling.state import GroupMemory, GroupPolicy

CATCH_UP = 1.25
"""What is left of a month's money may be spent this much faster than evenly."""

_ROUNDING = 1e-9


def hours_left(now: datetime) -> float:
    """Answer the hours until the month of `now` ends, in the zone of `now`; never 0."""
    year, month = (now.year, now.month + 1) if now.month < 12 else (now.year + 1, 1)
    end = now.replace(year=year, month=month, day=1, hour=0, minute=0, second=0, microsecond=0)
    return max((end - now).total_seconds() / 3600, 1 / 3600)


def spent(memory: GroupMemory, now: datetime) -> float:
    """Answer what was spent in the month of `now`; a new month starts at 0."""
    at = memory.spent_at
    if at is not None and (at.year, at.month) != (now.year, now.month):
        return 0.0
    return memory.spent_this_month


def ceiling(policy: GroupPolicy, memory: GroupMemory, now: datetime) -> float:
    """Answer the dollars an hour that the group may cost now; infinity without a budget.

    Worked example: 1,000 a month, 640 spent, 90 hours left: (1000 - 640) / 90 x 1.25 = 5 an hour.
    """
    hourly = inf if policy.hourly_budget is None else policy.hourly_budget
    if policy.monthly_budget is None:
        return hourly
    left = max(0.0, policy.monthly_budget - spent(memory, now))
    return min(hourly, left / hours_left(now) * CATCH_UP)


def room(policy: GroupPolicy, limit: float, live: int) -> float:
    """Count the machines that may come on top of `live` under `limit` dollars an hour.

    Infinity when machines cost nothing or no limit is set; never below 0.
    """
    if policy.price <= 0 or limit == inf:
        return inf
    return max(0, floor((limit - policy.price * live) / policy.price + _ROUNDING))
