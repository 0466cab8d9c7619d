"""Deletes what has expired: sessions, sign-in links, tokens with an end, old engine runs."""

from __future__ import annotations

from datetime import datetime

from control.services import stack_runs, tokens
from control.services.world import World


def tick(world: World, now: datetime) -> int:
    """Delete expired tokens and old runs; how many."""
    return tokens.remove_expired(world, now) + stack_runs.forget_old(world, now)
