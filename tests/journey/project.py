"""A person's project: a repository, its project on the server, and what its executions did."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.engines.processes import wait_until
from tests.journey.installation import LIMIT_S, Installation

FINAL = ("complete", "error", "crashed", "stopped")
AWAY = 503
WAIT_FOR_GATE = "n=0; until [ -e gate ] || [ $n -gt 2400 ]; do n=$((n+1)); sleep 0.05; done"
"""A command that runs until the test opens the gate, or for some minutes if nobody is left to."""


@dataclass
class Execution:
    """One execution, seen through the API and the local agent's folder."""

    place: Installation
    api: httpx.Client
    id: str

    def get(self, path: str = "", **query: Any) -> Any:
        """Ask; a part that is away for a moment is asked again."""
        answers: list[httpx.Response] = []

        def is_answered() -> bool:
            try:
                answers.append(self.api.get(f"executions/{self.id}/{path}", params=query))
            except httpx.TransportError:
                return False
            return answers[-1].status_code != AWAY

        wait_until(is_answered, what=f"an answer to {path}", limit_s=LIMIT_S, every_s=0.1)
        return answers[-1].raise_for_status().json()

    @property
    def status(self) -> str:
        return str(self.get(exclude="outputs")["status"])

    def wait(self, *statuses: str, limit_s: float = LIMIT_S) -> dict[str, Any]:
        """Wait until it has one of the statuses; without any, until it has ended."""
        wanted = statuses or FINAL

        def has() -> bool:
            status = self.status
            assert status in wanted or status not in FINAL, self.story()
            return status in wanted

        wait_until(has, what=f"{wanted} of {self.id}", limit_s=limit_s, every_s=0.1)
        return self.get()

    def story(self) -> str:
        shown = self.get()
        facts = {name: shown[name] for name in ("status", "reason", "reason_text", "phase")}
        return "\n".join([str(facts), *self.lines("stdout", "stderr", "status")])

    def wait_for_line(self, text: str) -> None:
        """Wait until a line of the step has come."""

        def has_come() -> bool:
            is_over = self.status in FINAL
            has = text in self.lines("stdout")
            assert has or not is_over, self.story()
            return has

        wait_until(has_come, what=f"the line {text!r}", limit_s=LIMIT_S, every_s=0.1)

    def wait_for_phase(self, phase: str) -> None:
        wait_until(
            lambda: self.get()["phase"] == phase,
            what=f"phase {phase} of {self.id}",
            limit_s=LIMIT_S,
            every_s=0.05,
        )

    def events(self) -> list[dict[str, Any]]:
        """The whole log."""
        return self.get("events/", limit=0)["events"]

    def lines(self, *streams: str) -> list[str]:
        wanted = streams or ("stdout",)
        return [one["message"] for one in self.events() if one["stream"] in wanted]

    def status_lines(self) -> str:
        return "\n".join(self.lines("status"))

    def stop(self) -> str:
        answer = self.api.post(f"executions/{self.id}/stop/")
        answer.raise_for_status()
        return str(answer.json()["message"])

    def outputs(self) -> dict[str, bytes]:
        """The outputs' bytes, by name."""
        found: dict[str, bytes] = {}
        for one in self.get("outputs/", include="download_url"):
            with httpx.Client(trust_env=False) as client:
                answer = client.get(one["download_url"])
            answer.raise_for_status()
            found[one["name"]] = answer.content
        return found

    def folders(self, state: Path | None = None) -> list[Path]:
        """The folders of its attempts on the agent's machine."""
        root = (state or self.place.data / "agent") / "attempts"
        specs = root.glob("*/spec.json")
        return [
            one.parent for one in specs if json.loads(one.read_text())["execution_id"] == self.id
        ]

    def open_gate(self, state: Path | None = None) -> None:
        """Let a step that waits for its gate go on."""
        folders = self.folders(state)
        assert folders, f"no attempt of {self.id} is here"
        for folder in folders:
            (folder / "repository" / "gate").touch()


@dataclass
class Project:
    """A project whose repository lies in `folder`."""

    place: Installation
    api: httpx.Client
    id: str
    folder: Path
    head: str

    def run(self, step: str = "train", **given: Any) -> Execution:
        answer = self.submit(step, **given)
        assert answer.status_code == 201, answer.text
        return Execution(self.place, self.api, answer.json()["id"])

    def submit(self, step: str = "train", **given: Any) -> httpx.Response:
        body = {"project": self.id, "commit": self.head, "step": step, **given}
        return self.api.post("executions/", json=body)


def step(name: str, *command: str, image: str = "python:3.12", **more: Any) -> dict[str, Any]:
    return {"step": {"name": name, "image": image, "command": list(command), **more}}


def make_project(
    place: Installation, *steps: dict[str, Any], files: Mapping[str, str] | None = None
) -> Project:
    """Make a repository and a project of it, fetched."""
    name = f"p{uuid.uuid4().hex[:10]}"
    folder = place.folder / name
    folder.mkdir()
    (folder / "valohai.yaml").write_text(yaml.safe_dump(list(steps)))
    for path, text in (files or {}).items():
        (folder / path).write_text(text)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Start")
    api = place.client()
    made = api.post("projects/", json={"name": name}).raise_for_status().json()
    link = {"repository": {"url": str(folder), "ref": "main"}}
    api.patch(f"projects/{made['id']}/", json=link).raise_for_status()
    fetched = api.post(f"projects/{made['id']}/fetch/").raise_for_status().json()
    assert not fetched["errors"], fetched
    return Project(place, api, made["id"], folder, git(folder, "rev-parse", "HEAD"))


def git(folder: Path, *arguments: str) -> str:
    person = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    done = subprocess.run(
        ["git", *person, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()
