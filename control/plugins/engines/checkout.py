"""Our own checkout of the infrastructure repository: one immutable folder a commit."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from control.domain.errors import PermanentError, TemporaryError

FETCH_LIMIT_S = 120.0
_KEPT = ("PATH", "HOME", "LANG", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "HTTPS_PROXY", "NO_PROXY")
_THEIR_BRANCH = "refs/talkoot/HEAD"
_REFS = (
    "+refs/heads/*:refs/heads/*",
    "+refs/tags/*:refs/tags/*",
    f"+HEAD:{_THEIR_BRANCH}",
)
_ADVICE = "Check TALKOOT_INFRA_REPO and TALKOOT_INFRA_COMMIT"


class Checkout:
    """Folders of a repository's commits under `folder`.

    `wanted` is a commit, a tag or a branch ("": the repository's own branch). A branch is read by
    `refresh` alone, so that a run never meets another commit than the one before it by surprise.
    """

    def __init__(self, folder: Path, repository: str, wanted: str) -> None:
        # A folder for each address: a pin of one repository says nothing of another.
        self._folder = folder / "checkout" / hashlib.sha256(repository.encode()).hexdigest()[:12]
        self._repository = repository
        self._wanted = wanted or _THEIR_BRANCH
        self._mirror = self._folder / "repository.git"
        self._pin = self._folder / "commit"

    def commit(self) -> str:
        """Name the pinned commit; reads the repository when there is no pin yet."""
        if self._pin.exists():
            pinned = self._pin.read_text().strip()
            if self._wanted == pinned or not _is_commit(self._wanted):
                return pinned
        return self.refresh()

    def refresh(self) -> str:
        """Read the repository and pin what is wanted. Raises TemporaryError, PermanentError."""
        if not self._repository:
            raise PermanentError(
                "TALKOOT_INFRA_REPO is not set: name the repository with Pulumi.yaml and stacks/."
            )
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._git("init", "--quiet", "--bare", str(self._mirror), has_mirror=False)
        self._git("fetch", "--quiet", "--prune", "--force", self._repository, *_REFS)
        commit = self._resolve()
        part = self._pin.with_suffix(f".{os.getpid()}")
        part.write_text(commit + "\n")
        part.replace(self._pin)
        return commit

    def folder(self) -> Path:
        """Give the folder of the pinned commit, made when it is not there."""
        commit = self.commit()
        place = self._folder / commit
        if not place.is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent, prefix=".part-") as part:
                tree = Path(part) / "tree"
                archive = self._git("archive", "--format=tar", commit)
                with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
                    packed.extractall(tree, filter="data")
                try:
                    tree.rename(place)
                except OSError:
                    if not place.is_dir():  # another process was first
                        raise
        return place

    def _resolve(self) -> str:
        for name in (self._wanted, f"refs/heads/{self._wanted}", f"refs/tags/{self._wanted}"):
            try:
                found = self._git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
            except PermanentError:
                continue
            return found.decode().strip()
        raise PermanentError(f"The infrastructure repository has no {self._wanted!r}. {_ADVICE}.")

    def _git(self, *arguments: str, has_mirror: bool = True) -> bytes:
        place = ["--git-dir", str(self._mirror)] if has_mirror else []
        try:
            done = subprocess.run(
                ["git", *place, *arguments],
                env=_environment(os.environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=FETCH_LIMIT_S,
                check=False,
            )
        except FileNotFoundError as error:
            raise PermanentError("The program git is missing: install it.") from error
        except subprocess.TimeoutExpired as error:
            raise TemporaryError("The infrastructure repository does not answer.") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise PermanentError(
                f"git {arguments[0]} failed: {said[-1] if said else 'no word'}. {_ADVICE}."
            )
        return done.stdout


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: environ[name] for name in _KEPT if name in environ}
    return kept | {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}


def _is_commit(text: str) -> bool:
    return len(text) in (40, 64) and all(letter in "0123456789abcdef" for letter in text)
