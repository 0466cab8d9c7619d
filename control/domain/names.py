"""Names and paths we make ourselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def object_name(name: str) -> str:
    """Make the last part of a store key from a file's name: readable, safe in every store."""
    last = PurePosixPath(name).name or "file"
    return (_UNSAFE.sub("_", last).lstrip(".") or "file")[-120:]


def file_name_of(uri: str) -> str:
    """Find the file name that a URI ends in; `file` when it has none."""
    return PurePosixPath(unquote(urlsplit(uri).path)).name or "file"


def without_password(uri: str) -> str:
    """Cut user and password out of an address, for logs and pages."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def number_clashes(names: Iterable[str]) -> list[str]:
    """Make names different: `a.png`, `a.png` becomes `a.png`, `a-2.png`."""
    seen: set[str] = set()
    result: list[str] = []
    for name in names:
        unique, number = name, 1
        while unique in seen:
            number += 1
            path = PurePosixPath(name)
            unique = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
        seen.add(unique)
        result.append(unique)
    return result
