"""One file from a URL to a path: resumed, tried again, checked on the way."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit, urlunsplit

import urllib3

from agent.aside import Aside
from agent.phases.endings import DISK_FULL
from agent.phases.failures import PhaseFailed

Facts = dict[str, Any] | None
"""Of a file that came: size, sha256, md5, sha1 and etag; None: the copy we have is still good."""

CHUNK_BYTES = 1024 * 1024
ATTEMPTS = 6
BACKOFF_FIRST_S = 0.2
BACKOFF_LIMIT_S = 15.0
ALGORITHMS = ("sha256", "md5", "sha1")
EXPIRED = (403, 410)
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)


class Expired(Exception):
    """The URL is no longer good; a fresh one may be."""


class Failed(Exception):
    """The file cannot be had; the text is for people and holds no secret."""


class _Again(Exception):
    pass


@dataclass
class Wanted:
    """One file. `is_expected` says whether what came is right: a sentence when it is not."""

    url: str
    draft: Path
    size_bytes: int | None = None
    checksums: dict[str, str] = field(default_factory=dict)
    etag: str | None = None  # of the copy we have: the server may answer that it is still good


def public_name(uri: str) -> str:
    """Leave out of a URL what may be a secret: user, password, query."""
    parts = urlsplit(uri)
    if not parts.netloc:
        return uri.partition("?")[0]
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def fetch(
    wanted: Wanted,
    pool: urllib3.PoolManager,
    *,
    on_bytes: Callable[[int], None],
    check: Callable[[], None],
) -> Facts:
    """Download.

    `on_bytes` gets the growth; `check` raises Interrupted to end, within a second also while
    the server is silent. Raises Expired, Failed, and PhaseFailed when the disk is full.
    """
    delay_s = BACKOFF_FIRST_S
    for left in reversed(range(ATTEMPTS)):
        try:
            return Aside[Facts](lambda aside: _fetch_once(wanted, pool, on_bytes, aside)).run(
                "download", check
            )
        except _Again as error:
            if not left:
                raise Failed(str(error)) from error
        except OSError as error:
            # What came so far is of no use, and its room is wanted for what comes next.
            wanted.draft.unlink(missing_ok=True)
            raise_disk_full(error)
            raise Failed(f"cannot be written: {error.strerror}") from error
        _pause(delay_s * random.SystemRandom().uniform(0.5, 1.0), check)
        delay_s = min(delay_s * 2, BACKOFF_LIMIT_S)
    raise AssertionError("the last round answers or raises")


def raise_disk_full(error: OSError) -> None:
    """Turn a full disk into the reason of that name; let other errors pass."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise PhaseFailed("disk_full", DISK_FULL) from error


def _pause(seconds: float, check: Callable[[], None]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        check()
        time.sleep(min(0.1, seconds))


def _fetch_once(
    wanted: Wanted,
    pool: urllib3.PoolManager,
    on_bytes: Callable[[int], None],
    aside: Aside[Facts],
) -> Facts:
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in ALGORITHMS}
    have = _resume(wanted.draft, hashes)
    url, headers = without_userinfo(wanted.url)
    if have:
        headers["Range"] = f"bytes={have}-"
    elif wanted.etag:
        headers["If-None-Match"] = wanted.etag
    # The bytes as they are: a transfer encoding would change their checksum.
    headers["Accept-Encoding"] = "identity"
    try:
        answer = pool.request(
            "GET",
            url,
            headers=headers,
            preload_content=False,
            retries=urllib3.Retry(0, redirect=5),
            timeout=urllib3.Timeout(connect=15.0, read=60.0),
        )
    except urllib3.exceptions.HTTPError as error:
        raise _Again(f"no connection ({_reason(error)})") from error
    with contextlib.closing(answer):
        if answer.status == 304 and wanted.etag:
            return None
        with aside.wanted():
            if not _accept(answer, wanted.draft, have):
                have = 0
                hashes = {name: hashlib.new(name, usedforsecurity=False) for name in ALGORITHMS}
            on_bytes(have)
            file = wanted.draft.open("ab" if have else "wb")
        with file:
            size = have + _store(answer, file, hashes, on_bytes, aside)
    facts: dict[str, Any] = {name: one.hexdigest() for name, one in hashes.items()}
    facts |= {"size": size, "etag": answer.headers.get("ETag")}
    with aside.wanted():
        _verify(wanted, facts)
    return facts


def _resume(draft: Path, hashes: dict[str, Any]) -> int:
    """Read again what an earlier try left, for its checksums."""
    have = 0
    with contextlib.suppress(FileNotFoundError), draft.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            have += len(chunk)
            for one in hashes.values():
                one.update(chunk)
    return have


def without_userinfo(url: str) -> tuple[str, dict[str, str]]:
    """Move user and password from the URL to a header."""
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    user, _, password = userinfo.partition(":")
    headers = urllib3.make_headers(basic_auth=f"{unquote(user)}:{unquote(password)}")
    return urlunsplit(parts._replace(netloc=host)), headers


def _accept(answer: urllib3.BaseHTTPResponse, draft: Path, have: int) -> bool:
    """Say whether the answer goes on where the draft ends. Raises for anything but a file."""
    if answer.status == 206 and have:
        return str(answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-")
    if answer.status == 200:
        return have == 0
    if answer.status == 416 and have:
        draft.unlink(missing_ok=True)
        raise _Again("the file changed while it was downloaded")
    if answer.status in EXPIRED:
        raise Expired(f"answered {answer.status}")
    if answer.status in TRANSIENT:
        raise _Again(f"the server answered {answer.status}")
    raise Failed(f"the server answered {answer.status}")


def _store(
    answer: urllib3.BaseHTTPResponse,
    file: BinaryIO,
    hashes: dict[str, Any],
    on_bytes: Callable[[int], None],
    aside: Aside[Facts],
) -> int:
    """Write what comes; give how much that was."""
    size = 0
    try:
        # What has come so far, not a whole chunk: progress shows also of a slow source.
        while chunk := answer.read1(CHUNK_BYTES, decode_content=False):
            with aside.wanted():
                file.write(chunk)
                on_bytes(len(chunk))
            for one in hashes.values():
                one.update(chunk)
            size += len(chunk)
    except urllib3.exceptions.HTTPError as error:
        raise _Again(f"the connection broke ({_reason(error)})") from error
    return size


def _verify(wanted: Wanted, facts: dict[str, Any]) -> None:
    if wanted.size_bytes is not None and facts["size"] != wanted.size_bytes:
        wanted.draft.unlink(missing_ok=True)
        raise _Again(f"it has {facts['size']} bytes where {wanted.size_bytes} were expected")
    for name, expected in wanted.checksums.items():
        if name in facts and expected and facts[name] != expected.lower():
            wanted.draft.unlink(missing_ok=True)
            raise _Again(f"its {name} checksum is not the expected one")


def _reason(error: Exception) -> str:
    return type(error).__name__
