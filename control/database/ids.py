"""New identities: time-ordered UUIDs, so that ids sort by creation (client-contract.md 1.8)."""

from __future__ import annotations

import hashlib
import random
import secrets
import uuid
from datetime import datetime


def new_id(now: datetime) -> str:
    """Make a UUID of version 7 whose time part holds milliseconds and a 12-bit fraction.

    An id is no secret, so its random part needs no system call (one waits for it among threads).
    """
    return str(uuid.UUID(int=_time_part(now) | random.getrandbits(62)))


def first_id(moment: datetime) -> str:
    """Answer the least id that can be made at a moment: all made later sort behind it."""
    return str(uuid.UUID(int=_time_part(moment)))


def _time_part(moment: datetime) -> int:
    micros = int(moment.timestamp() * 1_000_000)
    millis, fraction = divmod(micros, 1000)
    value = (millis & 0xFFFFFFFFFFFF) << 80
    return value | 0x7 << 76 | (fraction * 4096 // 1000) << 64 | 0b10 << 62


def new_secret(prefix: str = "") -> str:
    """Make a token with 256 random bits, fit for a header or a URL."""
    return prefix + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Hash a random token for storage; it has too much entropy to need a slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
