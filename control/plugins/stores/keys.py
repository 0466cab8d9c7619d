"""What a key may look like: the same for every store, so that data can move between them."""

from __future__ import annotations

import re

from control.domain.errors import PermanentError

_PART = re.compile(r"[A-Za-z0-9._-]+")
_PREFIX = re.compile(r"[A-Za-z0-9._/-]*")
MAX_KEY_LENGTH = 1024  # Amazon S3, "Creating object key names"
MAX_PART_LENGTH = 255  # NAME_MAX of Linux file systems


def check_key(key: str) -> str:
    """Return the key as it came, or raise PermanentError saying what is wrong with it."""
    parts = key.split("/")
    faulty = [part for part in parts if not _is_sound(part)]
    if faulty or len(key) > MAX_KEY_LENGTH:
        raise PermanentError(f"{key[:200]!r} is not a key of a store.")
    return key


def check_prefix(prefix: str) -> str:
    """Return the start of a key as it came; it may end in the middle of a part."""
    parts = prefix.split("/")
    if not _PREFIX.fullmatch(prefix) or any(not _is_sound(part) for part in parts[:-1]):
        raise PermanentError(f"{prefix[:200]!r} does not begin a key of a store.")
    if parts[-1] in {".", ".."}:
        raise PermanentError(f"{prefix[:200]!r} does not begin a key of a store.")
    return prefix


def _is_sound(part: str) -> bool:
    return (
        _PART.fullmatch(part) is not None
        and part not in {".", ".."}
        and len(part) <= MAX_PART_LENGTH
    )
