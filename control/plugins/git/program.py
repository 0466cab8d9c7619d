"""Git by the `git` program, into a bare mirror a repository; submodules and LFS are not followed.

A mirror keeps every commit that it ever fetched: nothing is collected, so that an execution can
be repeated after a force push.
"""

from __future__ import annotations

import fcntl
import gzip
import re
import secrets
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from control.domain.errors import PermanentError, TemporaryError
from control.domain.ports import FetchedCommit, FetchResult, GitRemote
from control.plugins.git import authority
from control.plugins.git.address import read_address
from control.plugins.git.process import CONFIGURATION, FILE_LIMIT_BYTES, Finished, environment, run
from control.plugins.git.questions import COMMIT_COUNT, Questions
from control.plugins.git.words import scrub

FETCH_LIMIT_S = 120.0
READ_LIMIT_S = 30.0
FILE_BYTES = 16 << 20
ARCHIVE_BYTES = 4 << 30
_LEFT_BEHIND = ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*")
_MESSAGE_LENGTH = 4000
_GZIP_LEVEL = 6
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_IDENTIFIER = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# The one author and the one moment of the commits that archives are made from.
_NOBODY = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "Talkoot"), ("EMAIL", "talkoot"), ("DATE", "1000000000 +0000"))
}


class ProgramGit:
    """The git port by subprocesses. Threads and processes may share a folder of mirrors."""

    def __init__(
        self,
        folder: Path,
        *,
        allow_local: bool = True,
        fetch_limit_s: float = FETCH_LIMIT_S,
        pack_bytes: int = FILE_LIMIT_BYTES,
    ) -> None:
        self._folder = folder.absolute()
        self._allow_local = allow_local
        self._fetch_limit_s = fetch_limit_s
        self._pack_bytes = pack_bytes
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._configuration = self._folder / "configuration"
        # Whole at any moment: another process may be running git with it.
        part = self._folder / f"configuration.{secrets.token_hex(4)}"
        part.write_text(CONFIGURATION)
        part.replace(self._configuration)

    @classmethod
    def from_url(cls, url: str, *, options: Mapping[str, str]) -> Self:
        """Build with the options `data_dir` (mirrors lie in its `git/`) and `allow_local`.

        `allow_local` (true unless said) lets repositories be paths on this machine.
        """
        del url
        allow_local = options.get("allow_local", "true").lower() in {"true", "1", "yes"}
        return cls(Path(options.get("data_dir", ".")) / "git", allow_local=allow_local)

    def fetch(self, mirror: str, remote: GitRemote, refs: Sequence[str]) -> FetchResult:
        """Bring the mirror up to date and answer the newest commits of each ref.

        A commit that two refs hold comes twice. A ref that is not there is an error in the
        result while another is; PermanentError when none is.
        """
        address, remote = read_address(remote, allow_local=self._allow_local)
        deadline = time.monotonic() + self._fetch_limit_s
        with self._locked(mirror, deadline) as path:
            env = environment(self._configuration, allow_local=self._allow_local)
            with authority.lent(address, remote, env) as lent:
                fetch = Questions(
                    path,
                    address,
                    remote,
                    {**env, **lent.variables},
                    deadline,
                    pack_bytes=self._pack_bytes,
                )
                known, errors = fetch.find(refs)
                fetch.bring(known)
            commits = [commit for ref in known for commit in self._log(path, ref, known[ref])]
            if known and self._has_submodules(path, next(iter(known.values()))):
                errors.append("The repository has submodules; Talkoot does not follow them.")
        return FetchResult(tuple(commits), tuple(errors), lent.found_host_key)

    def read_file(self, mirror: str, identifier: str, path: str) -> bytes | None:
        """Read a file of a fetched commit; None when it is not there."""
        repository, wanted = self._path(mirror), f"{identifier}:{path.removeprefix('./')}"
        if _IDENTIFIER.fullmatch(identifier) and "\0" not in path:
            answer = self._git(repository, "cat-file", "blob", wanted, output_bytes=FILE_BYTES)
            if answer.status == 0:
                return answer.output
        self._check_known(repository, identifier)
        return None

    def archive(self, mirror: str, identifier: str, target: Path) -> None:
        """Write the commit's tree as a gzip tar; the same tree gives the same bytes.

        git stamps an archive with its commit's time and id, so we archive a commit of nobody,
        with no time of its own, that holds the tree alone.
        """
        repository = self._path(mirror)
        self._check_known(repository, identifier)
        made = self._git(
            repository, "commit-tree", "-m", "", f"{identifier}^{{tree}}", extra=_NOBODY
        )
        if made.status != 0:
            raise PermanentError(f"The tree can not be archived: {scrub(made.error, ())[:300]}")
        part = target.with_name(f"{target.name}.part")
        try:
            with (
                part.open("wb") as file,
                gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed,
            ):
                done = run(
                    ["git", "archive", "--format=tar", made.output.decode().strip()],
                    env=self._env(repository),
                    limit_s=self._fetch_limit_s,
                    output_bytes=ARCHIVE_BYTES,
                    sink=packed.write,
                )
            if done.status != 0:
                raise PermanentError(f"The tree can not be archived: {scrub(done.error, ())[:300]}")
            part.replace(target)
        except OSError as error:
            raise TemporaryError(f"The archive can not be written: {error.strerror}.") from error
        finally:
            part.unlink(missing_ok=True)

    def make_deploy_key(self, comment: str) -> tuple[str, str]:
        """Make an ed25519 key pair: (private OpenSSH text, public one-line text)."""
        return authority.make_deploy_key(comment)

    # -- inside --------------------------------------------------------------------------------
    def _log(self, path: Path, ref: str, tracked: str) -> list[FetchedCommit]:
        answer = self._git(
            path, "log", "-z", f"-{COMMIT_COUNT}", "--format=%H%x00%ct%x00%B", tracked, "--"
        )
        if answer.status != 0:
            raise PermanentError(f"The commits of {ref} can not be read.")
        fields = answer.output.decode(errors="replace").split("\0")
        return [
            FetchedCommit(identifier, ref, _utc(int(seconds)), message.strip()[:_MESSAGE_LENGTH])
            for identifier, seconds, message in zip(
                fields[::3], fields[1::3], fields[2::3], strict=False
            )
        ]

    def _has_submodules(self, path: Path, tracked: str) -> bool:
        return self._git(path, "cat-file", "-e", f"{tracked}:.gitmodules").status == 0

    def _check_known(self, path: Path, identifier: str) -> None:
        if not _IDENTIFIER.fullmatch(identifier):
            raise PermanentError(f"{identifier[:80]!r} is not the identifier of a Git commit.")
        if self._git(path, "cat-file", "-e", f"{identifier}^{{commit}}").status != 0:
            raise PermanentError(f"Commit {identifier} has not been fetched.")

    def _git(
        self,
        path: Path,
        *arguments: str,
        output_bytes: int = FILE_BYTES,
        extra: Mapping[str, str] | None = None,
    ) -> Finished:
        return run(
            ["git", *arguments],
            env={**self._env(path), **(extra or {})},
            limit_s=READ_LIMIT_S,
            output_bytes=output_bytes,
        )

    def _env(self, path: Path) -> dict[str, str]:
        return environment(
            self._configuration, allow_local=self._allow_local, extra={"GIT_DIR": str(path)}
        )

    def _path(self, mirror: str) -> Path:
        if not _NAME.fullmatch(mirror):
            raise PermanentError(f"{mirror[:80]!r} is not the name of a mirror.")
        return self._folder / f"{mirror}.git"

    @contextmanager
    def _locked(self, mirror: str, deadline: float) -> Generator[Path]:
        """Hold the mirror alone, made if it is new and cleaned of what a killed fetch left."""
        path = self._path(mirror)
        with path.with_suffix(".lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise TemporaryError(
                            "Another fetch of this repository is running."
                        ) from None
                    time.sleep(0.05)
            for pattern in _LEFT_BEHIND:
                for left in path.glob(pattern):
                    left.unlink(missing_ok=True)
            if self._git(path, "init", "--quiet", "--bare").status != 0:
                raise PermanentError("The folder of the mirrors can not be written.")
            # An archive holds the tree as it is, whatever its .gitattributes would leave out.
            (path / "info" / "attributes").write_text("* -export-ignore -export-subst\n")
            yield path


def _utc(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
