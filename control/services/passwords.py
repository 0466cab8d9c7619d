"""Passwords: argon2id, and a brake on guessing."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from control.domain.errors import FieldError, Invalid, QuotaExceeded

MIN_LENGTH = 8
MAX_LENGTH = 1024
"""Argon2 reads everything it is given; a megabyte of password is an attack."""

ATTEMPTS = 10
WINDOW = timedelta(minutes=5)
_MAX_REMEMBERED = 10_000

_hasher = PasswordHasher()


@cache
def _unknown() -> str:
    """Verified against when there is no such user, so that time does not tell who exists."""
    return _hasher.hash("nobody's password")


def hash_password(password: str) -> str:
    """Hash a new password. Raises Invalid for one that is too short or too long."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise Invalid(
            FieldError(
                "password",
                f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.",
                "password_length",
            )
        )
    return _hasher.hash(password)


def is_password(stored: str | None, password: str) -> bool:
    """Compare a password with a stored hash, taking as long when there is none."""
    unknown = _unknown()  # made at the first question, whoever it is about
    try:
        return _hasher.verify(stored or unknown, password[:MAX_LENGTH]) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


@dataclass(slots=True)
class _Failures:
    count: int
    since: datetime


class Brake:
    """Counts failed attempts by name; each process counts for itself, which only loosens it."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, name: str, now: datetime) -> None:
        """Raise QuotaExceeded after too many failures."""
        with self._lock:
            found = self._failures.get(name)
            if found is None:
                return
            if now - found.since >= WINDOW:
                del self._failures[name]
                return
            if found.count >= ATTEMPTS:
                minutes = max(1, round((found.since + WINDOW - now).total_seconds() / 60))
                raise QuotaExceeded(
                    f"Too many failed attempts; try again in {minutes} "
                    f"minute{'' if minutes == 1 else 's'}."
                )

    def failed(self, name: str, now: datetime) -> None:
        """Count a failure; the oldest names are forgotten when there are too many."""
        with self._lock:
            found = self._failures.setdefault(name, _Failures(0, now))
            found.count += 1
            while len(self._failures) > _MAX_REMEMBERED:
                self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """Forget the failures of a name."""
        with self._lock:
            self._failures.pop(name, None)
