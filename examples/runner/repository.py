"""Makes a Git repository of the example's files.

The same files give the same commit: author, dates and settings are fixed, and a change of the
files is one more commit on top.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runner.failure import Failure

BRANCH = "main"
FIRST_COMMIT_AT = datetime(2026, 1, 1, tzinfo=UTC)
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def sync(source: Path, repository: Path) -> str:
    """Bring the repository up to date with the files of `source`; answer the commit's hash."""
    if not (repository / ".git").is_dir():
        repository.mkdir(parents=True, exist_ok=True)
        _git(repository, "init", "--quiet", f"--initial-branch={BRANCH}")
    _copy(source, repository)
    _git(repository, "add", "--all")
    if _git(repository, "status", "--porcelain"):
        _commit(repository)
    return _git(repository, "rev-parse", BRANCH)


def _copy(source: Path, repository: Path) -> None:
    for entry in repository.iterdir():
        if entry.name == ".git":
            continue
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    shutil.copytree(source, repository, ignore=LEFT_OUT, dirs_exist_ok=True)


def _commit(repository: Path) -> None:
    refs = _git(repository, "for-each-ref", f"refs/heads/{BRANCH}")
    earlier = int(_git(repository, "rev-list", "--count", BRANCH)) if refs else 0
    # A minute each, so that the commits have an order in time too.
    when = (FIRST_COMMIT_AT + timedelta(minutes=earlier)).isoformat()
    subject = "Classify hand-written digits" if not earlier else "Take over changed files"
    dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    _git(repository, "commit", "--quiet", f"--message={subject}", env=dates)


def _git(repository: Path, *arguments: str, env: dict[str, str] | None = None) -> str:
    # Nothing of the user's own settings (hooks, signing, line ends) may change the commit.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    fixed = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Talkoot",
        "GIT_AUTHOR_EMAIL": "talkoot@localhost",
        "GIT_COMMITTER_NAME": "Talkoot",
        "GIT_COMMITTER_EMAIL": "talkoot@localhost",
    }
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *arguments],
            env={**kept, **fixed, **(env or {})},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    except FileNotFoundError:
        raise Failure("The program `git` is missing: install it and run this again.") from None
    except subprocess.CalledProcessError as error:
        raise Failure(
            f"`git {arguments[0]}` failed in {repository}.", details=error.stderr.splitlines()
        ) from error
    return done.stdout.strip()
