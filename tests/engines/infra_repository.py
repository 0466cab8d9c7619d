"""A small infrastructure repository in Git: a program without any cloud, which can misbehave."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

PROJECT = "name: talkoot\nruntime: python\nmain: stacks/\n"
PROGRAM = """\
import time

import pulumi

config = pulumi.Config()
pulumi.export("size", config.get_int("size"))
pulumi.export("market", config.get("market"))
pulumi.export("password", pulumi.Output.secret("never-to-be-shown"))
if config.get("fail"):
    raise pulumi.RunError(config.get("fail"))
if config.get("sleepS"):
    pulumi.log.info("sleeping")
    time.sleep(config.require_float("sleepS"))
"""


class InfraRepository:
    """A repository with Pulumi.yaml and stacks/; `commit` names its newest commit."""

    def __init__(self, folder: Path, program: str = PROGRAM) -> None:
        self.folder = folder
        (folder / "stacks").mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")
        self.commit = ""
        self.put({"Pulumi.yaml": PROJECT, "stacks/__main__.py": program})

    def put(self, files: dict[str, str]) -> str:
        """Write files and commit them; answers the commit."""
        for path, text in files.items():
            (self.folder / path).write_text(text)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "Change the stacks")
        self.commit = self._git("rev-parse", "HEAD").strip()
        return self.commit

    def _git(self, *arguments: str) -> str:
        who = {"NAME": "Somebody", "EMAIL": "somebody@example.org"}
        env = {f"GIT_{role}_{key}": who[key] for role in ("AUTHOR", "COMMITTER") for key in who}
        return subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**os.environ, **env},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
