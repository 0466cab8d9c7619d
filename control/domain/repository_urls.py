"""The address of a Git repository: which forms are taken, and what must not stay in one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from control.domain.errors import Invalid

_SCP = re.compile(r"(?P<user>[A-Za-z0-9._-]+)@(?P<host>[A-Za-z0-9.-]+):(?P<path>[^:].*)")
SCHEMES = ("https", "http", "ssh", "git", "file")


@dataclass(frozen=True, slots=True)
class Address:
    """A repository's address without its password; `host` is "" for a path."""

    url: str
    scheme: str
    host: str
    username: str | None = None
    password: str | None = None

    @property
    def is_ssh(self) -> bool:
        """Say whether a key lets us in."""
        return self.scheme == "ssh"

    @property
    def is_http(self) -> bool:
        """Say whether a token lets us in."""
        return self.scheme in ("http", "https")


def read_address(text: str) -> Address:
    """Check an address and take a password out of it. Raises Invalid at `repository.url`."""
    text = text.strip()
    if not text:
        raise Invalid.one("repository.url", "Give the address of the repository.", "required")
    if len(text) > 1000 or text.startswith("-") or re.search(r"[\s\x00-\x1f]", text):
        raise _refuse()
    scp = _SCP.fullmatch(text)
    if scp is not None and "://" not in text:
        return Address(text, "ssh", scp["host"].lower(), username=scp["user"])
    if text.startswith(("/", "./", "../", "~")):
        return Address(text, "file", "")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _refuse() from None
    if parts.scheme not in SCHEMES or not (parts.netloc or parts.scheme == "file"):
        raise _refuse()
    host = (parts.hostname or "").lower()
    place = f"[{host}]" if ":" in host else host
    place = f"{place}:{port}" if port else place
    if parts.scheme in ("http", "https"):
        user, password = _user(parts.username), _user(parts.password)
        if user and not password:  # https://TOKEN@host
            user, password = None, user
        clean = parts._replace(netloc=place).geturl()
        return Address(clean, parts.scheme, place, username=user, password=password)
    if parts.password:
        raise Invalid.one(
            "repository.url", "A password cannot be used here: use a deploy key.", "password"
        )
    return Address(text, parts.scheme, place, username=_user(parts.username))


def _user(text: str | None) -> str | None:
    return unquote(text) if text else None


def _refuse() -> Invalid:
    return Invalid.one(
        "repository.url",
        "Not an address of a repository: use https://…, ssh://…, user@host:path or a path.",
    )
