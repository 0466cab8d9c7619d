"""The child processes of `talkoot serve`: started in order, kept alive, stopped in reverse."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field

import click

STOP_LIMIT_S = 10.0
READY_LIMIT_S = 60.0
RESTART_AFTER_S = 1.0
WRONG_USE = 2  # exit status of a command that was given what it cannot use
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent dies, however it dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Child:
    """One process. `waits_for_work`: on the first stop it may finish what it runs."""

    name: str
    command: list[str]
    waits_for_work: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started_at: float = field(default=0.0, init=False)

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches `serve` alone."""
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal if it is there."""
        if self.process is not None and self.is_running:
            self.process.send_signal(number)

    def wait(self, limit_s: float) -> bool:
        """Wait for its end; False when it is still there."""
        if self.process is None:
            return True
        try:
            self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True


class Family:
    """All children of one `serve`."""

    def __init__(self, children: list[Child], *, watch: Callable[[], None]) -> None:
        self.children = children
        self._watch = watch
        self._stops = 0

    def run(
        self, *, meanwhile: Callable[[], None], ready_url: str, on_ready: Callable[[], None]
    ) -> None:
        """Start them and stay until Ctrl-C or SIGTERM; starts again what dies.

        `meanwhile` is done while the first child starts, and before the others do.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)
        first, *rest = self.children
        try:
            first.start()
            meanwhile()
            self._wait_until_ready(first, ready_url)
            for child in rest:
                child.start()
            if not self._stops:
                on_ready()
            while not self._stops:
                time.sleep(0.2)
                self._watch()
                self._revive()
        finally:
            self._stop()

    def _ask(self, *_: object) -> None:
        self._stops += 1

    def _wait_until_ready(self, child: Child, url: str) -> None:
        deadline = time.monotonic() + READY_LIMIT_S
        while not self._stops:
            if not child.is_running:
                if child.process is not None and child.process.returncode == WRONG_USE:
                    raise click.exceptions.Exit(WRONG_USE)  # it has said what is wrong
                raise click.ClickException(
                    "The web process did not start; its own words are above."
                )
            if time.monotonic() > deadline:
                raise click.ClickException("The web process did not answer within a minute.")
            try:
                urllib.request.urlopen(url, timeout=2).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
                continue
            return

    def _revive(self) -> None:
        for child in self.children:
            if child.is_running or time.monotonic() - child.started_at < RESTART_AFTER_S:
                continue
            status = child.process.returncode if child.process else None
            click.echo(
                f"The {child.name} process ended (status {status}); starting it again.", err=True
            )
            child.start()

    def _stop(self) -> None:
        """Stop in reverse order; a second request stops at once."""
        for child in reversed(self.children):
            child.send(signal.SIGTERM)
            if child.waits_for_work and not child.wait(1.0):
                click.echo(
                    f"Waiting for the {child.name} to finish what it runs; Ctrl-C stops at once.",
                    err=True,
                )
                while self._stops < 2 and not child.wait(0.2):
                    continue
                child.send(signal.SIGTERM)
            if not child.wait(STOP_LIMIT_S):
                child.send(signal.SIGKILL)
                child.wait(STOP_LIMIT_S)
