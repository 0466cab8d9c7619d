"""One machine of the fake world: a folder as its root, cloud-init, and what systemd would do.

The machine runs the rendered user data as it is: files are written below the root, the commands of
`runcmd` run with ROOT set, and `systemctl`, `iptables` and `ip6tables` are small programs of ours
at the front of PATH. They leave a note; this module starts units by their files and says when the
machine wants to be off.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
RESTARTS = ("on-failure", "always")
_PROGRAMS = {
    # A note appears whole: it is written elsewhere first.
    "systemctl": 'n=$(mktemp "$ROOT/tmp/note.XXXXXX"); echo "$*" >"$n"; mv "$n" "$ROOT/notes/"',
    # No rule is there yet, so -C says no.
    "iptables": 'echo "$*" >>"$ROOT/iptables"; case "$*" in *-C*) exit 1 ;; esac',
    "ip6tables": 'echo "$*" >>"$ROOT/ip6tables"; case "$*" in *-C*) exit 1 ;; esac',
}


@dataclass
class Unit:
    """A started service."""

    name: str
    lines: list[tuple[str, str]]
    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0

    def all(self, key: str) -> list[str]:
        return [value for name, value in self.lines if name == key]

    def one(self, key: str, otherwise: str = "") -> str:
        return ([otherwise, *self.all(key)])[-1]


@dataclass
class Sandbox:
    """A machine that boots, runs and loses its power; `tick` is called often by one thread."""

    root: Path
    environment: Mapping[str, str]  # for everything that runs in it
    pace: float = 10.0  # units that wait before a restart wait so many times shorter
    is_off: bool = False
    wants_off: bool = False
    _units: dict[str, Unit] = field(default_factory=dict)
    _boot: subprocess.Popen[bytes] | None = None
    _commands: list[list[str]] = field(default_factory=list)

    @property
    def console(self) -> Path:
        return self.root / "console"

    @property
    def state(self) -> Path:
        """Where its agent keeps what it knows."""
        return self.root / "var/lib/talkoot"

    def boot(self, user_data: str) -> None:
        """Do what cloud-init does; the commands run in later ticks, one after the other."""
        for folder in ("tmp", "notes", "bin", "etc/systemd/system", "var/lib"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        for name, text in _PROGRAMS.items():
            self._write(f"bin/{name}", f"#!/bin/sh\n{text}\n", "0755")
        self.say("cloud-init: begins")
        if not user_data.startswith("#cloud-config\n"):
            self.say("cloud-init: the user data is no cloud-config")
            return
        config: dict[str, Any] = yaml.safe_load(user_data)
        for file in config.get("write_files", []):
            path = str(file["path"]).lstrip("/")
            self._write(path, file["content"], file.get("permissions", "0644"))
        self._commands = [[str(word) for word in one] for one in config.get("runcmd", [])]

    def say(self, line: str) -> None:
        with self.console.open("a") as console:
            console.write(f"{line}\n")

    def tick(self) -> None:
        """Go on with the boot, obey notes, watch units."""
        if self.is_off:
            return
        if self._boot is None or self._boot.poll() is not None:
            self._next_command()
        for note in sorted((self.root / "notes").iterdir(), key=lambda path: path.stat().st_mtime):
            words = note.read_text().split()
            note.unlink()
            self._obey(words)
        for unit in self._units.values():
            self._watch(unit)

    def power_off(self) -> None:
        """Take its power: nothing in it gets a word."""
        self.is_off = True
        running = [self._boot, *(unit.process for unit in self._units.values())]
        for process in running:
            if process is not None:
                _kill(process)
        # Steps have supervisors that outlive their agent; a machine without power has none.
        for file in self.state.glob("attempts/*/run/supervisor"):
            with contextlib.suppress(ProcessLookupError, ValueError, IndexError):
                os.kill(int(file.read_text().split()[0]), signal.SIGUSR1)

    # -- inside ---------------------------------------------------------------------------------
    def _write(self, path: str, text: str, permissions: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(int(permissions, 8))

    def _next_command(self) -> None:
        if self._boot is not None and self._boot.returncode:
            self.say(f"cloud-init: a command ended with {self._boot.returncode}")
        self._boot = self._start(self._commands.pop(0), {}) if self._commands else None

    def _obey(self, words: list[str]) -> None:
        names = [word.removesuffix(".service") for word in words[1:] if not word.startswith("-")]
        if words[0] == "poweroff":
            self.wants_off = True
        elif words[0] == "enable" and "--now" in words:
            for name in names:
                self._units.setdefault(name, self._read_unit(name))

    def _read_unit(self, name: str) -> Unit:
        text = (self.root / f"etc/systemd/system/{name}.service").read_text()
        lines = [line.partition("=") for line in text.splitlines() if "=" in line]
        return Unit(name, [(key, value) for key, _, value in lines if not key.startswith("#")])

    def _watch(self, unit: Unit) -> None:
        process = unit.process
        if process is not None and process.poll() is None:
            return
        if process is not None:
            if process.returncode == 0 and unit.one("Restart") != "always":
                return
            if unit.one("Restart") not in RESTARTS:
                return
            unit.process = None
            unit.start_at = time.monotonic() + float(unit.one("RestartSec", "0.1")) / self.pace
            self.say(f"systemd: {unit.name} ended with {process.returncode}")
        if time.monotonic() >= unit.start_at:
            self._start_unit(unit)

    def _start_unit(self, unit: Unit) -> None:
        environment = _variables(
            [word for line in unit.all("Environment") for word in line.split()]
        )
        for path in unit.all("EnvironmentFile"):
            environment |= _variables(self._inside(path).read_text().splitlines())
        for command in unit.all("ExecStartPre"):
            before = self._start(shlex.split(command.lstrip("+-")), environment)
            if before.wait(30):
                self.say(f"systemd: what goes before {unit.name} ended with {before.returncode}")
        self.say(f"systemd: starts {unit.name}")
        unit.process = self._start(shlex.split(unit.one("ExecStart")), environment)

    def _start(self, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        first = self._inside(command[0])
        program = str(first) if first.exists() else command[0]
        if program == "/usr/bin/python3" and not Path("/usr/bin/python3.11").exists():
            program = sys.executable
        words = [program, *(str(self._inside(word)) for word in command[1:])]
        with self.console.open("ab") as console:
            return subprocess.Popen(
                words,
                cwd=self.root,
                env={**environment, **self.environment, **self._own_environment()},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    def _own_environment(self) -> dict[str, str]:
        path = os.environ.get("PATH", "/usr/bin:/bin")
        return {"ROOT": str(self.root), "PATH": f"{self.root / 'bin'}:{path}", "LANG": "C.UTF-8"}

    def _inside(self, word: str) -> Path:
        """Find a path of the machine below its root; anything else stays."""
        inside = self.root / word.lstrip("/")
        return inside if word.startswith("/") and inside.exists() else Path(word)


def _variables(lines: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
