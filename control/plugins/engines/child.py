"""The parent's side of one child process: start it, hand it its spec, read what it says."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import Any, cast

from control.domain.cloud_ports import StackEvent
from control.plugins.engines import processes

_LAST_WORDS = 40
Said = dict[str, Any]


class Child:
    """A runner that waits for its spec, then does it. Its pid is the number of its session."""

    def __init__(self, path: str, home: str) -> None:
        # -I: neither the working directory nor PYTHON* variables choose what is imported.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "control.plugins.engines.runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={"PATH": path, "HOME": home, "PULUMI_HOME": home, "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
        self._said: queue.SimpleQueue[Said | None] = queue.SimpleQueue()
        self._last_words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._read_answers, self._read_words)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """The child's pid, and its session's number."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it can still be handed a spec."""
        return self._process.poll() is None

    def give(self, spec: dict[str, Any]) -> None:
        """Hand over the spec; it begins at once."""
        self._write(json.dumps(spec))

    def stop(self) -> None:
        """Order it to interrupt the engine."""
        self._write("stop")

    def listen(self, limit_s: float) -> Said | None:
        """Take the next thing it said; {} after `limit_s` seconds, None when it has ended."""
        try:
            return self._said.get(timeout=limit_s)
        except queue.Empty:
            return {}

    def last_words(self) -> str:
        """Give what it wrote to standard error, its last lines."""
        return "\n".join(self._last_words)

    def end(self) -> None:
        """Let an idle one go, or reap one that has ended; what it left running is killed."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        processes.kill_session(self._process.pid, but=os.getpid())
        for thread in self._threads:
            thread.join(10)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return  # it has ended: `listen` says so

    def _read_answers(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(cast("Said", json.loads(line)))
        self._said.put(None)

    def _read_words(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._last_words.append(line.rstrip())


def event_of(said: Said) -> StackEvent:
    """Read an event from a line."""
    found: dict[str, Any] = dict(said["event"])
    found["at"] = datetime.fromisoformat(found["at"])
    return StackEvent(**found)
