"""Lends git a key or a token for one fetch: in files that only we can read, never in a command.

SSH takes a key from a file and one pinned host key, nothing else; HTTPS takes a token from a
credential helper that answers for the one server it belongs to.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control.domain.errors import PermanentError, TemporaryError
from control.domain.ports import GitRemote
from control.plugins.git.address import Address
from control.plugins.git.process import run

CONNECT_LIMIT_S = 15
_KEY_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ssh-rsa")
_PINNED = re.compile(r"[a-z0-9@.-]+ [A-Za-z0-9+/=]+")
_PREFIX = "talkoot-git-"
_OLD_S = 3600.0
_ANY_NAME = "git"  # GitHub, GitLab and Gitea look at the token alone


@dataclass(frozen=True, slots=True)
class Authority:
    """The variables that a git process gets, and the host key to pin when there was none yet."""

    variables: Mapping[str, str]
    found_host_key: str | None = None


@contextmanager
def lent(address: Address, remote: GitRemote, env: Mapping[str, str]) -> Generator[Authority]:
    """Write what git needs to be let in; all of it is gone when the context ends."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=_place()) as name:
        folder = Path(name)
        if address.scheme == "ssh":
            found = None if remote.host_key else scan_host_key(address, env)
            yield Authority(_for_ssh(folder, remote, remote.host_key or found or ""), found)
        elif remote.token and address.scheme in {"http", "https"}:
            yield Authority(_for_http(folder, address, remote))
        else:
            yield Authority({})


def _place() -> str:
    """Choose memory before a disk for keys, and take away what a killed process left there."""
    memory = Path("/dev/shm")  # noqa: S108 - each folder in it is made for us alone, mode 0700
    place = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    for left in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another process may be as quick, or it is another user's
            if left.stat().st_uid == os.getuid() and left.stat().st_mtime < time.time() - _OLD_S:
                shutil.rmtree(left)
    return str(place)


def scan_host_key(address: Address, env: Mapping[str, str]) -> str:
    """Ask a server for its host key on first contact: "type base64"."""
    port = str(address.port or 22)
    command = ["ssh-keyscan", "-T", str(CONNECT_LIMIT_S), "-p", port, "-t", "ed25519,ecdsa,rsa"]
    answer = run([*command, address.host], env=env, limit_s=CONNECT_LIMIT_S * 2)
    found = [line.split()[1:3] for line in answer.output.decode(errors="replace").splitlines()]
    keys = {parts[0]: parts[1] for parts in found if len(parts) == 2}
    for kind in _KEY_KINDS:
        if kind in keys:
            return f"{kind} {keys[kind]}"
    raise TemporaryError(
        "The Git server can not be reached. Look at the address, or try again later.", delay_s=30
    )


def make_deploy_key(comment: str) -> tuple[str, str]:
    """Make an ed25519 key pair: (private OpenSSH text, public one-line text)."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return private.decode(), f"{public.decode()} {' '.join(comment.split())}".strip()


def _for_ssh(folder: Path, remote: GitRemote, host_key: str) -> dict[str, str]:
    if not _PINNED.fullmatch(host_key):
        raise PermanentError("The pinned host key is not of the form: type base64.")
    known_hosts = _secret_file(folder / "known_hosts", f"* {host_key}\n")
    options = {
        "BatchMode": "yes",
        "CheckHostIP": "no",
        "ConnectTimeout": str(CONNECT_LIMIT_S),
        "GlobalKnownHostsFile": os.devnull,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "IdentityFile": "none",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "UserKnownHostsFile": str(known_hosts),
    }
    if remote.private_key:
        text = remote.private_key.strip() + "\n"
        options["IdentityFile"] = str(_secret_file(folder / "key", text))
    command = ["ssh", "-F", os.devnull, *(f"-o{name}={value}" for name, value in options.items())]
    return {"GIT_SSH_COMMAND": shlex.join(command), "GIT_SSH_VARIANT": "ssh"}


def _for_http(folder: Path, address: Address, remote: GitRemote) -> dict[str, str]:
    name, token = remote.username or _ANY_NAME, remote.token or ""
    if re.search(r"[\x00-\x1f]", name + token):
        raise PermanentError("A user name or a token holds no line ends.")
    answer = _secret_file(folder / "answer", f"username={name}\npassword={token}\n")
    # Bound to scheme, host and port, so that a redirection to another server gets nothing.
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"credential.{address.origin}.helper",
        "GIT_CONFIG_VALUE_0": f'!f() {{ test "$1" = get && cat {shlex.quote(str(answer))}; }}; f',
    }


def _secret_file(path: Path, text: str) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path
