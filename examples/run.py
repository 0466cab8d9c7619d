"""Talkoot's main job from outside: start it, submit the example, follow it, show its outputs.

`make run` runs this. It uses only what any user has: the `talkoot` command and the HTTP API. What
it makes (an account, a token, a repository) lies in the data directory and is used again next time.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.account import foreign_server, sign_in
from runner.client import Client
from runner.failure import FAILED, WRONG_USE, Failure
from runner.following import follow
from runner.repository import BRANCH, sync
from runner.server import (
    HOST,
    Interrupted,
    Server,
    answers,
    port_is_free,
    raise_on_signals,
)
from runner.terminal import Terminal, size_words

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE / "digits"
DATA_FILE = HERE / "digits-data" / "digits.csv.gz"
PROJECT = "digits"
STEP = "train"
INTERRUPTED = 130
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Place:
    """Where this run keeps its things and where Talkoot listens."""

    data: Path
    port: int

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def repository(self) -> Path:
        return self.data / "example" / "digits"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make run", description="Start Talkoot on this machine and run its main job."
    )
    parser.add_argument(
        "--exit", action="store_true", help="leave with the execution's success or failure"
    )
    parser.add_argument("--data", type=Path, default=Path(".talkoot"), help="default: .talkoot")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000")
    parser.add_argument("--runtime", choices=("auto", "docker", "process"), default="auto")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    wishes = parse(arguments)
    terminal = Terminal()
    raise_on_signals()
    place = Place(wishes.data.absolute(), wishes.port)
    server: Server | None = None
    status = FAILED
    try:
        server = start(place, wishes.runtime, terminal)
        status = work(place, server, terminal, stays=not wishes.exit)
    except Interrupted:
        terminal.close()
        terminal.line("Interrupted.")
        status = INTERRUPTED
    except Failure as failure:
        status = failure.status
        terminal.close()
        terminal.fail(str(failure))
        for line in failure.details:
            terminal.line(f"    {line}")
    finally:
        if server:
            server.stop(terminal, patience_s=PATIENCE_S if wishes.exit else math.inf)
            terminal.close()
            terminal.line("Talkoot has stopped.")
    return status


def start(place: Place, runtime: str, terminal: Terminal) -> Server | None:
    """Start Talkoot, or answer None when it runs already with this data directory."""
    is_new = not place.data.exists()
    if answers(place.address):
        if is_new:
            raise foreign_server(place.address, place.data)
        terminal.done(f"Talkoot runs already at {place.address}: using it")
        return None
    if not port_is_free(place.port):
        raise Failure(
            f"Port {place.port} is used by another program: stop that program, "
            f"or choose another port with `make run ARGS='--port {place.port + 1}'`.",
            status=WRONG_USE,
        )
    place.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    begun = time.monotonic()
    image = re.search(r"^ *image: *(\S+)", (EXAMPLE / "valohai.yaml").read_text(), re.MULTILINE)
    server = Server(place.data, place.port, runtime, image[1] if image else "")
    try:
        server.wait_until_ready(terminal)
    except BaseException:
        server.stop(terminal)
        raise
    terminal.done(f"Talkoot is up at {place.address} after {time.monotonic() - begun:.1f} s")
    for line in server.warnings():
        terminal.warn(line)
    return server


def work(place: Place, server: Server | None, terminal: Terminal, *, stays: bool) -> int:
    """Prepare, run and show the execution; answer the exit status."""
    begun = time.monotonic()
    check_alive = server.check_alive if server else lambda: None
    client = sign_in(place.address, place.data, check_alive, terminal)
    commit, project, datum = prepare(client, place, terminal)
    terminal.done(
        f"Ready: project, commit and data are in place ({time.monotonic() - begun:.1f} s)"
    )

    execution = client.send(
        "POST",
        "executions/",
        {
            "project": project["id"],
            "commit": commit,
            "step": STEP,
            "inputs": {"digits": [f"datum://{datum['id']}"]},
        },
    )
    terminal.line()
    terminal.line(terminal.paint(f"Execution #{execution['counter']}, step {STEP}", "bold"))
    try:
        ended = follow(client, execution["id"], terminal)
    except Interrupted:
        terminal.status("Stopping the execution")
        client.stop(execution["id"])
        terminal.line(f"Execution #{execution['counter']} is stopped.")
        raise
    show_result(client, ended, place, terminal)
    succeeded = ended["status"] == "complete"
    terminal.line(f"\nWeb       {ended['urls']['display']}")
    if stays:
        # A sign-in link is a key: with --exit nobody is left to use it.
        terminal.line(
            f"Sign in   {client.login_url(ended['urls']['display'])}  (works once, for ten minutes)"
        )
        stay(server, terminal)
    return 0 if succeeded else FAILED


def prepare(
    client: Client, place: Place, terminal: Terminal
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Bring repository, project and data up to date; answer commit, project and datum."""
    commit = sync(EXAMPLE, place.repository)
    terminal.done(f"Repository {place.repository} is at {commit[:10]}")
    project = client.project(PROJECT)
    client.link(project, str(place.repository), BRANCH)
    terminal.status("Fetching the repository")
    new_commits = client.fetch(project["id"])
    terminal.done(f"Project {PROJECT} has fetched it: {new_commits} new")
    terminal.status("Uploading the data")
    datum, was_uploaded = client.datum(project["id"], DATA_FILE)
    how = "is uploaded" if was_uploaded else "is in the store already"
    terminal.done(f"Data {datum['name']} ({size_words(datum['size'])}) {how}")
    return commit, project, datum


def show_result(
    client: Client, execution: dict[str, Any], place: Place, terminal: Terminal
) -> None:
    duration = f" in {execution['duration']:.1f} s" if execution.get("duration") else ""
    words = f"Execution #{execution['counter']} ended: {execution['status']}{duration}"
    terminal.done(words) if execution["status"] == "complete" else terminal.fail(words)
    if execution["status"] != "complete" and execution.get("reason_text"):
        terminal.line(f"    {execution['reason_text']}")
    last = execution.get("cumulative_metadata") or {}
    if last:
        terminal.line(f"\n{terminal.paint('Last metadata', 'bold')}")
        for name, value in last.items():
            terminal.line(f"  {name:<16} {value}") if not name.startswith("_") else None
    outputs = client.get(f"executions/{execution['id']}/outputs/")
    terminal.line(f"\n{terminal.paint('Outputs', 'bold')}")
    for datum in outputs:
        lies_at = datum.get("uri") or "in the store"
        terminal.line(f"  {datum['name']:<16} {size_words(datum['size']):>9}  {lies_at}")
    if not outputs:
        terminal.line("  none")


def stay(server: Server | None, terminal: Terminal) -> None:
    """Keep Talkoot up until Ctrl-C, which here is the expected end."""
    if server is None:
        terminal.line("Talkoot runs on where it was started.")
        return
    try:
        terminal.line("Talkoot stays up until Ctrl-C.")
        while True:
            server.check_alive()
            time.sleep(0.2)
    except Interrupted:
        terminal.line()


if __name__ == "__main__":
    sys.exit(main())
