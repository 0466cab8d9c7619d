"""What a repository's address may be, taken apart; a secret in it goes where secrets belong."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from control.domain.errors import PermanentError
from control.domain.ports import GitRemote

_SCP = re.compile(r"(?:([A-Za-z0-9._-]+)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?!/?/)(.+)")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SCHEMES = {"https", "http", "ssh", "git"}
_WRONG = (
    "This is not the address of a repository. It looks like https://host/path.git, "
    "ssh://git@host/path.git or git@host:path.git."
)


@dataclass(frozen=True, slots=True)
class Address:
    """An address without a secret. `host` is empty for a path on this machine."""

    url: str
    scheme: str
    host: str = ""
    port: int | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port: where a token may go, and nowhere else."""
        return f"{self.scheme}://{urlsplit(self.url).netloc.rpartition('@')[2]}"


def read_address(remote: GitRemote, *, allow_local: bool) -> tuple[Address, GitRemote]:
    """Take the address apart; a password found in it moves into the remote's token.

    Raises PermanentError for what we do not fetch from.
    """
    url = remote.url.strip()
    if not url or url.startswith("-") or re.search(r"[\x00-\x20\x7f]", url):
        raise PermanentError(_WRONG)
    if "://" in url:
        return _read_url(url, remote, allow_local)
    if url.startswith(("/", ".")):
        return _local(url, allow_local), remote
    if "::" in url:  # git's own way to name a helper program to run
        raise PermanentError(_WRONG)
    if match := _SCP.fullmatch(url):
        return Address(url, "ssh", match[2].strip("[]")), remote
    raise PermanentError(_WRONG)


def _read_url(url: str, remote: GitRemote, allow_local: bool) -> tuple[Address, GitRemote]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise PermanentError(_WRONG) from error
    if parts.scheme == "file":
        return _local(unquote(parts.path), allow_local), remote
    host = parts.hostname or ""
    if parts.scheme not in _SCHEMES or not host or host.startswith("-"):
        raise PermanentError(_WRONG)
    place = parts.netloc.rpartition("@")[2]
    if parts.scheme == "ssh":
        if (parts.username or "").startswith("-"):
            raise PermanentError(_WRONG)
        user = f"{parts.username}@" if parts.username else ""
        return Address(f"ssh://{user}{place}{parts.path}", "ssh", host, port), remote
    if parts.password or parts.username:
        remote = replace(
            remote,
            username=remote.username or (unquote(parts.username or "") if parts.password else None),
            token=remote.token or unquote(parts.password or parts.username or ""),
        )
    if remote.token and parts.scheme != "https" and host not in _LOOPBACK:
        raise PermanentError("A token is sent over https alone: change http:// to https://.")
    query = f"?{parts.query}" if parts.query else ""
    return Address(f"{parts.scheme}://{place}{parts.path}{query}", parts.scheme, host, port), remote


def _local(path: str, allow_local: bool) -> Address:
    if not allow_local:
        raise PermanentError("Repositories on the control plane's own disk are not allowed here.")
    if not PurePosixPath(path).is_absolute():
        raise PermanentError("The path of a repository begins with a slash.")
    return Address(path, "file")
