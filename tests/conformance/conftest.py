"""An installation as `talkoot serve` makes it, and the released `vh` in front of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.engines.clients import Vh
from tests.engines.processes import Server, wait_until

USER, PASSWORD = "ada", "a-long-password"
ENDED = ("complete", "error", "crashed", "stopped")

CONFIG = """\
- step:
    name: greet
    image: python:3.12
    command:
      - mkdir -p $VH_OUTPUTS_DIR/sub/deep
      - python greet.py {parameters}
    inputs:
      - name: words
        optional: true
    parameters:
      - {name: times, type: integer, default: 2, min: 1, max: 5}
      - {name: rate, type: float, default: 0.5}
      - {name: name, type: string, optional: true}
      - {name: loud, type: flag}
- step:
    name: lines
    image: python:3.12
    command: python lines.py
- step:
    name: nap
    image: python:3.12
    command: echo sleeping; sleep 120
- step:
    name: fail
    image: python:3.12
    command:
      - echo about to fail
      - exit 3
- step:
    name: needy
    image: python:3.12
    command: "true"
    inputs:
      - name: words
"""

GREET = """\
import json, os, pathlib, sys
print("arguments", " ".join(sys.argv[1:]))
for file in sorted(pathlib.Path(os.environ["VH_INPUTS_DIR"]).glob("words/*")):
    print("input", file.name, file.read_text().strip())
for turn in (1, 2):
    print(json.dumps({"turn": turn, "score": turn * 0.5}))
out = pathlib.Path(os.environ["VH_OUTPUTS_DIR"])
(out / "sub" / "deep" / "result.txt").write_text("done\\n")
(out / "empty.bin").write_bytes(b"")
"""


LINES = "for number in range(3000):\n    print('line', number)\n"


@dataclass(frozen=True)
class Installation:
    """A running Talkoot and how an operator and a program reach it."""

    url: str
    data: Path

    def talkoot(self, *arguments: str, text: str = "") -> str:
        """Run the command beside the server."""
        done = subprocess.run(
            [sys.executable, "-m", "control.cli", *arguments, "--data", str(self.data)],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=_environment(),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def client(self, token: str) -> httpx.Client:
        """A program that calls the API."""
        return httpx.Client(
            base_url=f"{self.url}/api/v0/",
            headers={"Authorization": f"Token {token}"},
            timeout=30,
        )


@dataclass(frozen=True)
class Desk:
    """A person with `vh`, a clone of the code and a linked project."""

    vh: Vh
    api: httpx.Client
    project_id: str
    head: str

    @property
    def folder(self) -> Path:
        return self.vh.folder

    def execution(self, counter: int | str) -> dict[str, Any]:
        """Read an execution."""
        answer = self.api.get(f"executions/{self.project_id}:{counter}/")
        answer.raise_for_status()
        return answer.json()

    def executions(self) -> list[dict[str, Any]]:
        """List the project's executions, newest first."""
        return self.api.get("executions/", params={"project": self.project_id}).json()["results"]

    def wait(self, counter: int | str, *statuses: str) -> dict[str, Any]:
        """Wait until an execution has one of the statuses; without any, until it has ended."""
        wanted = statuses or ENDED
        wait_until(
            lambda: self.execution(counter)["status"] in wanted,
            what=f"execution {counter}",
            limit_s=60,
            every_s=0.1,
        )
        return self.execution(counter)

    def run(self, step: str, *arguments: str) -> int:
        """Run a step by `vh exec run` and answer its counter."""
        self.vh("exec", "run", step, *arguments)
        return self.execution("latest")["counter"]


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Start `talkoot serve` with the process runtime, once for all."""
    folder = tmp_path_factory.mktemp("installation")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Installation(f"http://127.0.0.1:{port}", folder / "data")
    command = [sys.executable, "-m", "control.cli", "serve", "--port", str(port)]
    command += ["--runtime", "process", "--data", str(made.data)]
    server = Server(
        command,
        log=folder / "serve.log",
        is_ready=lambda: "Talkoot is ready" in (folder / "serve.log").read_text(),
        environment=_environment(),
    )
    server.start(limit_s=60)
    try:
        made.talkoot("admin", "user", "add", USER, "--password-stdin", text=PASSWORD)
        yield made
    finally:
        server.stop()


@pytest.fixture(scope="session")
def token(installation: Installation) -> str:
    """An API token of the user's."""
    return installation.talkoot("admin", "token", "add", USER)


@pytest.fixture
def signed_in(installation: Installation, token: str, vh: Vh) -> Vh:
    """`vh`, logged in."""
    vh("login", "--host", installation.url, "--token", token)
    return vh


@pytest.fixture
def desk(
    installation: Installation, token: str, signed_in: Vh, request: pytest.FixtureRequest
) -> Iterator[Desk]:
    """A linked project whose repository is the folder, fetched."""
    folder = signed_in.folder
    (folder / "valohai.yaml").write_text(CONFIG)
    (folder / "greet.py").write_text(GREET)
    (folder / "lines.py").write_text(LINES)
    git(folder, "init", "--quiet", "--initial-branch=main")
    head = commit_all(folder, "Start")
    name = "p" + str(abs(hash(request.node.nodeid)))[:12]
    signed_in("project", "create", "--name", name)
    with installation.client(token) as api:
        found = api.get("projects/", params={"name": name}).json()["results"]
        project_id = found[0]["id"]
        answer = api.patch(f"projects/{project_id}/", json={"repository": {"url": str(folder)}})
        answer.raise_for_status()
        signed_in("project", "fetch")
        yield Desk(signed_in, api, project_id, head)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Everything a person sees: results go to one stream, remarks to the other."""
    return done.stdout + done.stderr


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder."""
    person = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    return subprocess.run(
        ["git", *person, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.strip()


def commit_all(folder: Path, message: str) -> str:
    """Commit everything; answer the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def _environment() -> dict[str, str]:
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("TALKOOT_", "VALOHAI_")) and not key.endswith("_URL")
    }
