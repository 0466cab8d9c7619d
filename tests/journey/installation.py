"""Talkoot as people start it: real processes on free ports, in a folder that is theirs alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
from sqlalchemy import update

from control.bootstrap import build
from control.cli.children import die_with_parent
from control.database.tables.environments import environments as environment_rows
from control.services import environments, people, workers
from control.services.world import World
from control.settings import read_settings
from tests.engines.places import free_port
from tests.engines.processes import wait_until

ROOT = Path(__file__).parents[2]
TALKOOT = (sys.executable, "-m", "control.cli")
LIMIT_S = 60.0
CHILDREN = {"web": "one-port", "loops": "loops", "agent": "agent", "queue": "-server"}
"""What a child of `serve` is called here, to a word of its command line."""


def clean_environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's variables without any that would change an installation."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TALKOOT_", "VALOHAI_", "VH_", "DOCKER_"))
        and not name.endswith("_URL")
    }
    return {**kept, **(given or {})}


class Process:
    """One long-running process, its words in a file."""

    def __init__(
        self, command: list[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.command, self.log = command, log
        self._environment = clean_environment(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,  # a test run that is killed leaves nothing behind
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def words(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, limit_s: float = LIMIT_S) -> int:
        return self.process.wait(limit_s)

    def kill(self) -> None:
        """End it as a crash would."""
        self.send(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """End it in its own way, at once if need be."""
        if not self.is_running:
            return
        for patience_s in (5, 20):
            self.send(signal.SIGTERM)
            try:
                self.wait(patience_s)
            except subprocess.TimeoutExpired:
                continue
            return
        self.kill()

    def wait_for_words(self, text: str, times: int = 1) -> None:
        def said() -> bool:
            assert self.is_running or self.words.count(text) >= times, self.words[-3000:]
            return self.words.count(text) >= times

        wait_until(said, what=f"{text!r} of {self.command[3:5]}", limit_s=LIMIT_S, every_s=0.05)


class Installation:
    """`talkoot serve` with a data directory, or its processes apart."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.environment = dict(environment or {})
        self.processes: list[Process] = []
        self._clients: list[httpx.Client] = []
        self.token = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def serve(self) -> Process:
        return self.processes[0]

    def run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*TALKOOT, *arguments],
            cwd=ROOT,
            env=clean_environment(self.environment),
            input=text,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def talkoot(self, *arguments: str, text: str = "") -> str:
        """Run a command on our data directory; what it printed."""
        done = self.run(*arguments, "--data", str(self.data), text=text)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def process(self, name: str, *arguments: str) -> Process:
        """Start one of our processes."""
        log = self.folder / f"{name}.log"
        made = Process([*TALKOOT, *arguments], log, self.environment)
        self.processes.append(made)
        made.start()
        return made

    def start(self, runtime: str = "process") -> None:
        """Start `talkoot serve` and make a user."""
        self.serve_again(runtime)
        self.sign_up()

    def serve_again(self, runtime: str = "process") -> Process:
        ready = f"Talkoot is ready at {self.url}"
        log = self.folder / "serve.log"
        before = log.read_text().count(ready) if log.exists() else 0
        options = ("--port", str(self.port), "--runtime", runtime, "--data", str(self.data))
        serve = self.process("serve", "serve", *options)
        self.processes.remove(serve)
        self.processes.insert(0, serve)
        serve.wait_for_words(ready, before + 1)
        return serve

    @contextmanager
    def world(self) -> Iterator[World]:
        """What the commands see, without the time that a command takes to start."""
        wiring = build(read_settings(self.environment, data_dir=self.data))
        try:
            yield wiring.world
        finally:
            wiring.close()

    def sign_up(self, name: str = "ada") -> str:
        now = datetime.now(UTC)
        with self.world() as world:
            people.add_user(world, name, None, True, now)
            token = people.add_token(world, name, "journey", now)
        self.token = self.token or token
        return token

    def add_environment(self, slug: str, **changes: int) -> None:
        """Add an environment; what an operator cannot ask for is written into its row."""
        with self.world() as world:
            new = environments.NewEnvironment(slug=slug)
            environments.add(world, None, new, datetime.now(UTC))
            change = update(environment_rows).where(environment_rows.c.slug == slug)
            if changes:
                world.database.write(
                    lambda connection: connection.execute(change.values(**changes)) and None
                )

    def enrol(self, environment: str) -> str:
        with self.world() as world:
            return workers.make_enrolment_token(world, environment, datetime.now(UTC))

    def client(self, token: str | None = None, url: str | None = None) -> httpx.Client:
        client = httpx.Client(
            base_url=f"{url or self.url}/api/v0/",
            headers={"Authorization": f"Token {token or self.token}"},
            timeout=30,
            trust_env=False,
        )
        self._clients.append(client)
        return client

    def agent(self, environment: str, name: str, runtime: str = "process") -> Process:
        """Start an agent of another machine."""
        token = self.folder / f"{name}.token"
        if not token.exists():
            token.write_text(self.enrol(environment))
        return self.process(
            name,
            *("agent", "--url", self.url, "--state", str(self.folder / name)),
            *("--runtime", runtime, "--name", name, "--enrol-token-file", str(token)),
        )

    def child(self, name: str) -> int:
        """The process id of a child of `serve`."""
        found = [pid for pid in children_of(self.serve.pid) if _is_a(name, pid)]
        assert len(found) == 1, (name, found)
        return found[0]

    def wait_for_child(self, name: str, *, other_than: int) -> int:
        """Wait until `serve` has started a child again."""

        def is_there() -> bool:
            return any(
                pid != other_than and _is_a(name, pid) for pid in children_of(self.serve.pid)
            )

        wait_until(is_there, what=f"a new {name}", limit_s=LIMIT_S)
        return self.child(name)

    def stop(self) -> None:
        """End everything, the newest first but for `serve`, which knows its own order."""
        for client in self._clients:
            client.close()
        for process in reversed(self.processes):
            process.stop()

    def left_over(self) -> list[str]:
        """Processes that still belong to this folder."""
        found: list[str] = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                pid = int(entry.name)
                if str(self.folder) in " ".join(command_of(pid)) or _works_in(pid, self.folder):
                    found.append(f"{pid}: {' '.join(command_of(pid))}")
        return found


def children_of(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]


def command_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def _is_a(name: str, pid: int) -> bool:
    # A queue server writes more than its path into its first word.
    return any(word.partition(" ")[0].endswith(CHILDREN[name]) for word in command_of(pid))


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder)
    except OSError:
        return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
