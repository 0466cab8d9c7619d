"""Starts `talkoot serve` as a child, finds one that runs already, and ends only its own."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from runner.failure import WRONG_USE, Failure
from runner.terminal import Terminal, plain

HOST = "127.0.0.1"
START_WITHIN_S = 900.0  # an image may be pulled first; a server that fails ends before
STOP_AT_ONCE_WITHIN_S = 30.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOG_LIMIT_BYTES = 5_000_000


class Interrupted(BaseException):
    """Ctrl-C or a signal to end; like KeyboardInterrupt no `except Exception` may take it."""


def raise_on_signals() -> None:
    """Let Ctrl-C, a closed terminal and `kill` all end the same clean way."""

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    for number in SIGNALS:
        signal.signal(number, interrupt)


def talkoot(*arguments: str, data: Path, typed: str = "") -> str:
    """Run one `talkoot` command to its end and answer what it printed."""
    done = subprocess.run(
        [_program(), *arguments, "--data", str(data)],
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        words = " ".join(arguments[:3])
        raise Failure(f"`talkoot {words}` failed.", details=_lines(done.stderr + done.stdout)[-12:])
    return done.stdout.strip()


def _program() -> str:
    beside = Path(sys.executable).with_name("talkoot")
    if not beside.exists():
        raise Failure(f"There is no `talkoot` command in {beside.parent}: run `make setup` first.")
    return str(beside)


def answers(address: str) -> bool:
    """Say whether a Talkoot server answers at the address."""
    try:
        answer = httpx.get(f"{address}/api/v0/server/", timeout=2, trust_env=False)
        return answer.status_code == httpx.codes.OK and answer.json().get("flavor") == "talkoot"
    except (httpx.HTTPError, ValueError):
        return False


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


class Server:
    """One `talkoot serve` process, in its own session so that our Ctrl-C does not reach it."""

    def __init__(self, data: Path, port: int, runtime: str, image: str) -> None:
        self.log = data / "serve.log"
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_name("serve.log.1"))
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        self._address = f"http://{HOST}:{port}"
        options = ["--data", str(data), "--host", HOST, "--port", str(port), "--runtime", runtime]
        options += ["--probe-image", image]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [_program(), "serve", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def wait_until_ready(self, terminal: Terminal) -> None:
        started = time.monotonic()
        while not answers(self._address):
            self.check_alive()
            waited = time.monotonic() - started
            if waited > START_WITHIN_S:
                raise Failure(
                    f"Talkoot did not answer at {self._address} within {START_WITHIN_S:.0f} s.",
                    details=self.last_lines(),
                )
            said = self.last_lines()[-1:]
            terminal.status(f"Starting Talkoot: {waited:.0f} s  {''.join(said)}")
            time.sleep(0.05)

    def check_alive(self) -> None:
        status = self.process.poll()
        if status is None:
            return
        wrong_use = WRONG_USE if status == WRONG_USE else 1
        raise Failure(
            f"`talkoot serve` ended with status {status}.",
            status=wrong_use,
            details=self.last_lines(),
        )

    def warnings(self) -> list[str]:
        """Answer what the server found worth saying about how it will run steps."""
        return [line for line in self._said() if line.startswith(("Runtime:", "WARNING:"))]

    def last_lines(self) -> list[str]:
        return self._said()[-12:]

    def _said(self) -> list[str]:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return _lines(log.read().decode(errors="replace"))

    def stop(self, terminal: Terminal, *, patience_s: float = math.inf) -> None:
        """End the server, which lets executions end first.

        A second interruption, or the end of our patience, ends it at once.
        """
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(Interrupted):
            self._wait(terminal, patience_s)
        if self.process.poll() is None:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            self.process.send_signal(signal.SIGINT)
            self._wait(terminal, STOP_AT_ONCE_WITHIN_S)
        if self.process.poll() is None:
            # Its whole process group: the session is ours, nobody else is in it.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _wait(self, terminal: Terminal, limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while self.process.poll() is None and time.monotonic() < deadline:
            terminal.status("Stopping Talkoot (Ctrl-C again stops it at once)")
            time.sleep(0.05)


def _lines(text: str) -> list[str]:
    return [plain(line) for line in text.splitlines() if line.strip()]
