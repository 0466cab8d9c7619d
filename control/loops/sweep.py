"""Deletes what has expired: sessions, sign-in links, tokens with an end."""

from __future__ import annotations

from datetime import datetime

from control.services import tokens
from control.services.world import World


def tick(world: World, now: datetime) -> int:
    """Delete expired tokens; how many."""
    return tokens.remove_expired(world, now)
