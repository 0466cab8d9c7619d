"""A server as a child process: its output in a file, ready when it answers, ended by its pid."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def wait_until(
    is_ready: Callable[[], bool], *, what: str, limit_s: float = 30, every_s: float = 0.02
) -> None:
    """Ask again and again until `is_ready`; TimeoutError after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while not is_ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not ready after {limit_s:.0f} s")
        time.sleep(every_s)


class Server:
    """One child process. `start` returns when `is_ready` says so; `stop` leaves nothing behind."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        is_ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.command = [str(part) for part in command]
        self.log = log
        self._is_ready = is_ready
        self._environment = environment
        self._user = user
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.command[0]} is not started")
        return self._process.pid

    def start(self, *, limit_s: float = 30) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
                start_new_session=True,
            )
        try:
            wait_until(self._ready_or_dead, what=self.command[0], limit_s=limit_s)
        except TimeoutError as error:
            self.stop()
            raise TimeoutError(f"{error}: {self.last_words()}") from error

    def _ready_or_dead(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(
                f"{self.command[0]} ended with {self._process.returncode}: {self.last_words()}"
            )
        return self._is_ready()

    def last_words(self) -> str:
        """Answer the end of the log, for the error message."""
        return self.log.read_text(errors="replace")[-2000:]

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL, limit_s=10)

    def stop(self) -> None:
        """End it in its own way, and at once if that takes longer than 15 s. Idempotent."""
        self._end(self._stop_signal, limit_s=15)

    def _end(self, sign: signal.Signals, *, limit_s: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(sign)
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
