"""The two questions that a fetch asks of a remote: which refs there are, and their commits."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from control.domain.errors import PermanentError
from control.domain.ports import GitRemote
from control.plugins.git.address import Address
from control.plugins.git.process import run
from control.plugins.git.words import explain

COMMIT_COUNT = 200
# git-check-ref-format(1), and never what a command could take for an option
_BAD_REF = re.compile(r"^[-/]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/$|\.$|\.lock$|^$")


class Questions:
    """The two questions to a remote: which refs there are, and their newest commits."""

    def __init__(
        self,
        path: Path,
        address: Address,
        remote: GitRemote,
        env: Mapping[str, str],
        deadline: float,
        *,
        pack_bytes: int,
    ) -> None:
        self._env = {**env, "GIT_DIR": str(path)}
        self._address = address
        self._secrets = (remote.token, remote.private_key)
        self._deadline = deadline
        self._pack_bytes = pack_bytes

    def find(self, refs: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """Answer the wanted refs that are there, each with our name for it; and the errors."""
        wanted = [ref for ref in dict.fromkeys(refs) if not _BAD_REF.search(ref)]
        if not wanted:
            raise PermanentError(_missing(refs) or "No branch or tag to fetch was named.")
        patterns = [f"refs/{kind}/{_short(ref)}" for ref in wanted for kind in ("heads", "tags")]
        answer = self._ask("ls-remote", "--refs", "--", self._address.url, *patterns)
        lines = answer.decode(errors="replace").splitlines()
        self._there = {line.partition("\t")[2] for line in lines}
        known = {ref: _tracked(name) for ref in wanted if (name := self._full_name(ref))}
        missing = _missing([ref for ref in refs if ref not in known])
        if not known:
            raise PermanentError(missing)
        return known, [missing] if missing else []

    def bring(self, known: Mapping[str, str]) -> None:
        """Fetch the refs that `find` found."""
        names = {ref: self._full_name(ref) for ref in known}
        self._ask(
            *("fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head"),
            *("--update-shallow", f"--depth={COMMIT_COUNT}", "--", self._address.url),
            *(f"+{names[ref]}:{tracked}" for ref, tracked in known.items()),
        )

    def _full_name(self, ref: str) -> str | None:
        names = (f"refs/heads/{_short(ref)}", f"refs/tags/{_short(ref)}")
        if ref.startswith("refs/"):
            names = (ref,)
        return next((name for name in names if name in self._there), None)

    def _ask(self, *arguments: str) -> bytes:
        left_s = max(self._deadline - time.monotonic(), 0.01)
        answer = run(
            ["git", *arguments], env=self._env, limit_s=left_s, file_bytes=self._pack_bytes
        )
        if answer.status != 0:
            raise explain(answer.error, self._secrets)
        return answer.output


def _missing(refs: Sequence[str]) -> str:
    return " ".join(f"There is no branch or tag {ref[:200]!r}." for ref in refs)


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def _tracked(name: str) -> str:
    # A hash, so that a branch `x` and a later branch `x/y` do not stand in each other's way.
    return f"refs/talkoot/{hashlib.sha256(name.encode()).hexdigest()[:32]}"
