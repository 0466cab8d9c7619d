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

GROUP_PROGRAM = '''\
"""A worker group whose cloud is a folder: the group's file holds its number of machines."""
import json
import pathlib
import time

import pulumi
from pulumi import dynamic

config = pulumi.Config()


class Cloud(dynamic.ResourceProvider):
    """Notes every call, takes its time before and after it changes anything."""

    def _write(self, props, call):
        place = pathlib.Path(props["place"])
        with (place / "calls").open("a") as calls:
            calls.write(f"{call} {props['name']}\\n")
        time.sleep(props["wait"])
        part = place / f"{props['name']}.part"
        part.write_text(json.dumps({"desired": props["desired"]}))
        part.rename(place / f"{props['name']}.json")
        with (place / "calls").open("a") as calls:
            calls.write(f"{call}d {props['name']}\\n")
        time.sleep(props["wait"])

    def create(self, props):
        self._write(props, "create")
        return dynamic.CreateResult(props["name"], props)

    def update(self, _id, _old, props):
        self._write(props, "update")
        return dynamic.UpdateResult(props)

    def diff(self, _id, old, new):
        changed = any(old.get(key) != new[key] for key in ("desired", "name"))
        return dynamic.DiffResult(changes=changed)

    def read(self, id_, props):
        place = pathlib.Path(props["place"]) / f"{props['name']}.json"
        if not place.exists():
            return dynamic.ReadResult(None, {})
        return dynamic.ReadResult(id_, {**props, **json.loads(place.read_text())})


class Group(dynamic.Resource):
    def __init__(self, name, props, opts=None):
        super().__init__(Cloud(), name, props, opts)


size = config.get_int("size")
props = {
    "place": config.require("place"),
    "wait": config.get_float("wait") or 0.0,
    "desired": 0 if size is None else size,
}
kept = pulumi.ResourceOptions(ignore_changes=["desired"] if size is None else [])
template = Group("template", {**props, "name": "template", "desired": 0})
kept = pulumi.ResourceOptions.merge(kept, pulumi.ResourceOptions(depends_on=[template]))
Group("machines", {**props, "name": "machines"}, kept)
pulumi.export("size", size)
'''


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
