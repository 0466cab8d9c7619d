"""Stack config on a branch of the infrastructure repository, for review like any change of code."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from control.cli.context import settings_of
from control.domain.errors import PermanentError

LIMIT_S = 120.0


def commit_config(texts: Mapping[str, str], branch: str, message: str, data_dir: str | None) -> str:
    """Commit a file a stack on a new branch and push it; the commit. Raises PermanentError.

    Works in a clone of its own: nobody's working tree is touched.
    """
    repository = settings_of(data_dir).infra_repo
    if not repository:
        raise PermanentError("Set TALKOOT_INFRA_REPO to the infrastructure repository first.")
    with tempfile.TemporaryDirectory(prefix="talkoot-branch-") as place:
        folder = Path(place)
        _git(folder, "clone", "-q", "--", repository, ".")
        _git(folder, "switch", "-q", "-c", branch)
        for stack, text in texts.items():
            (folder / f"Pulumi.{stack}.yaml").write_text(text, encoding="utf-8")
        _git(folder, "add", "--all")
        _git(folder, *_author(folder), "commit", "-q", "-m", message)
        _git(folder, "push", "-q", "origin", f"refs/heads/{branch}:refs/heads/{branch}")
        return _git(folder, "rev-parse", "--short", "HEAD")


def _author(folder: Path) -> tuple[str, ...]:
    """Sign as whoever Git knows here, else as ourselves."""
    found = subprocess.run(["git", "var", "GIT_AUTHOR_IDENT"], cwd=folder, capture_output=True)
    known = found.returncode == 0
    return () if known else ("-c", "user.name=Talkoot", "-c", "user.email=talkoot@localhost")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=LIMIT_S
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        verb = next(one for one in arguments if one in ("clone", "switch", "add", "commit", "push"))
        raise PermanentError(f"The branch was not made: git {verb}: {said[-1]}")
    return done.stdout.strip()
