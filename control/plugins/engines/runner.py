"""The child process of one engine run: `python -m control.plugins.engines.runner STACK`.

It waits, warm, for its spec as one JSON line on standard input, does it, and writes what happens
as JSON lines to standard output. Secrets come by that line, so neither this process's arguments
nor its environment hold any. `stop` on standard input, or its end (the parent is gone), interrupts
the engine: once, again after the grace, and after that everything of this session is killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

from control.domain.cloud_ports import StackEvent
from control.plugins.engines import processes

BEGIN_LIMIT_S = 30.0
KILL_AFTER_S = 30.0
"""Between the second interrupt and the end of everything."""
_LOOK_EVERY_S = 0.05


class Lines:
    """Writes JSON lines; quiet once nobody reads them any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, line: dict[str, Any]) -> None:
        """Write one line whole."""
        try:
            with self._lock:
                self._stream.write(json.dumps(line) + "\n")
                self._stream.flush()
        except (BrokenPipeError, ValueError):
            return

    def event(self, event: StackEvent) -> None:
        """Write an event."""
        self.write(
            {
                "event": {
                    "at": event.at.isoformat(),
                    "kind": event.kind,
                    "text": event.text,
                    "resource": event.resource,
                    "operation": event.operation,
                    "severity": event.severity,
                }
            }
        )


class Interrupter:
    """Waits for the order to stop and carries it out while the engine runs."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self.ended = threading.Event()
        self.has_begun = threading.Event()
        """The engine gave a sign of life: before that, an interrupt could leave its lock."""

    def listen(self) -> None:
        """Read standard input to the order or to its end; then interrupt."""
        for line in sys.stdin:
            if line.strip() == "stop":
                break
        self._wait_for_the_beginning()
        if self._interrupt() and self._wait(self._grace_s):
            self._interrupt()
            if self._wait(KILL_AFTER_S):
                processes.kill_session(os.getpid(), but=os.getpid())

    def _wait_for_the_beginning(self) -> None:
        deadline = time.monotonic() + BEGIN_LIMIT_S
        while not (self.has_begun.is_set() or time.monotonic() > deadline):
            if not self._wait(_LOOK_EVERY_S):
                return

    def _interrupt(self) -> bool:
        """Send SIGINT to the engine as soon as there is one; False when the run ended first."""
        while not self.ended.is_set():
            engines = processes.children_named("pulumi", os.getpid())
            for pid in engines:
                processes.send(pid, signal.SIGINT)
            if engines:
                return True
            self._wait(_LOOK_EVERY_S)
        return False

    def _wait(self, limit_s: float) -> bool:
        return not self.ended.wait(limit_s)


Work = Callable[[dict[str, Any], Lines, Interrupter], dict[str, Any]]


def main() -> None:
    """Get warm, take the spec, do it, answer, end."""
    out = Lines(os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whoever else prints does not break a line
    # Orders come by standard input. Not SIG_IGN, which the engine would inherit.
    signal.signal(signal.SIGINT, lambda *_: None)
    ready = _warm()
    line = sys.stdin.readline()
    if not line:
        return
    spec = json.loads(line)
    os.environ.clear()
    os.environ.update(spec["environment"])
    interrupter = Interrupter(spec["grace_s"])
    threading.Thread(target=interrupter.listen, daemon=True).start()
    answer = ready(spec, out, interrupter)
    interrupter.ended.set()
    out.write({"end": answer})
    os._exit(0)  # the thread that listens never ends by itself


def _warm() -> Work:
    """Import the SDK and find the program; a failure is told when the spec comes."""
    try:
        from control.plugins.engines import automation

        program = automation.command()
    except ImportError:
        return _failing(
            "The package pulumi is missing: install the extra of your cloud, `talkoot[aws]`."
        )
    except OSError:
        return _failing(
            "The program pulumi is missing: install the Pulumi CLI, and put it on PATH."
        )

    def work(spec: dict[str, Any], out: Lines, interrupter: Interrupter) -> dict[str, Any]:
        try:
            return automation.work(
                spec, program, on_event=out.event, on_sign=interrupter.has_begun.set
            )
        except Exception:
            # The top of a process: whatever it is, the parent is told.
            return {"outcome": "failed", "words": traceback.format_exc(), "changes": {}}

    return work


def _failing(words: str) -> Work:
    return lambda _spec, _out, _interrupter: {"outcome": "failed", "words": words, "changes": {}}


if __name__ == "__main__":
    main()
