"""What git's and ssh's errors mean, in words for people and without a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable

from control.domain.errors import PermanentError, TalkootError, TemporaryError

_HOST_KEY = (
    "The server's host key has changed. If that is right, remove the pinned key in the project's "
    "repository settings and fetch again; if not, somebody may be listening in."
)
_NOT_FOUND = "The repository was not found, or this key or token may not read it."
_PRIVATE = "The repository was not found, or it is private: give it a deploy key or a token."
_NO_RIGHTS = "The server refuses this key, user name or token."
_UNREACHABLE = "The Git server can not be reached. Look at the address, or try again later."
_TOO_LARGE = "The repository is larger than Talkoot takes."
_UNSAFE = "This kind of address is not allowed: use https, http, ssh or git."

# The first that matches holds, so what is more exact stands higher.
_PATTERNS: tuple[tuple[str, str, type[TalkootError]], ...] = (
    (r"died of signal 25|File too large|File size limit exceeded", _TOO_LARGE, PermanentError),
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed",
     _HOST_KEY, PermanentError),
    (r"transport '[^']*' not allowed|is not a git command", _UNSAFE, PermanentError),
    (r"could not read (Username|Password)", _PRIVATE, PermanentError),
    (r"Could not resolve host|Name or service not known|Temporary failure in name resolution",
     _UNREACHABLE, TemporaryError),
    (r"Connection refused|Connection timed out|timed out|No route to host|Network is unreachable",
     _UNREACHABLE, TemporaryError),
    (r"Failed to connect|Couldn't connect|unable to connect|Connection reset|Connection closed by",
     _UNREACHABLE, TemporaryError),
    (r"Permission denied|Authentication failed|error: 40[13]",
     _NO_RIGHTS, PermanentError),
    (r"Repository not found|[Rr]epository '[^']*' not found|does not appear to be a git repository",
     _NOT_FOUND, PermanentError),
    (r"not a git repository|does not exist|No such file or directory|error: 404",
     _NOT_FOUND, PermanentError),
    (r"error: 5\d\d|early EOF|unexpected disconnect|hung up unexpectedly|Operation too slow",
     _UNREACHABLE, TemporaryError),
    (r"No space left on device", "The disk of the control plane is full.", TemporaryError),
)  # fmt: skip


def explain(error: str, secrets: Iterable[str | None]) -> TalkootError:
    """Make the error that a failed fetch raises from git's standard error."""
    for pattern, sentence, kind in _PATTERNS:
        if re.search(pattern, error):
            return kind(sentence)
    last = next((line for line in reversed(error.splitlines()) if line.strip()), "no reason given")
    return PermanentError(f"Git could not do it: {scrub(last.strip(), secrets)[:300]}")


def scrub(text: str, secrets: Iterable[str | None]) -> str:
    """Take secrets out of a text: those we know, and whatever stands before an @ in an address."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1…@", text)
