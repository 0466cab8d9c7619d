"""Repositories that tests commit to: real ones on disk, behind real servers, and in memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from control.domain.ports import GitRemote
from control.plugins.git.memory import MemoryGit

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.test",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.test",
}


class RealRepository:
    """A bare repository on this disk, written by plumbing; `remote` says how others reach it."""

    def __init__(self, path: Path, remote: GitRemote) -> None:
        self.path = path
        self.remote = remote
        self._count = 0

    def commit(
        self, files: Mapping[str, bytes], *, ref: str = "main", message: str = "Change"
    ) -> str:
        self._count += 1
        index = self.path / f"index-{self._count}"
        for name, content in files.items():
            blob = self.git("hash-object", "-w", "--stdin", input_bytes=content)
            entry = f"100644,{blob},{name}"
            self.git("update-index", "--add", "--cacheinfo", entry, index=index)
        tree = self.git("write-tree", index=index)
        return self.commit_tree(tree, ref=ref, message=message)

    def commit_tree(self, tree: str, *, ref: str = "main", message: str = "Change") -> str:
        """Make a commit of a tree that is there already."""
        self._count += 1
        name = f"refs/heads/{ref}"
        tip = self.git("for-each-ref", "--format=%(objectname)", name)
        made = self.git(
            "commit-tree", *(("-p", tip) if tip else ()), "-m", message, tree,
            date=f"{1_900_000_000 + self._count} +0200",
        )  # fmt: skip
        self.git("update-ref", name, made)
        return made

    def git(
        self, *arguments: str, input_bytes: bytes = b"", index: Path | None = None, date: str = ""
    ) -> str:
        """Run git in the repository and answer its output."""
        env = {**_ENVIRONMENT, "GIT_DIR": str(self.path)}
        if index:
            env["GIT_INDEX_FILE"] = str(index)
        if date:
            env |= {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        done = subprocess.run(
            ["git", *arguments], input=input_bytes, env=env, capture_output=True, check=True
        )
        return done.stdout.decode().strip()


class MemoryRepository:
    """A repository of the memory plug-in."""

    def __init__(self, git: MemoryGit, url: str) -> None:
        self._git = git
        self.remote = GitRemote(url)

    def commit(
        self, files: Mapping[str, bytes], *, ref: str = "main", message: str = "Change"
    ) -> str:
        return self._git.commit(self.remote.url, files, ref=ref, message=message)
