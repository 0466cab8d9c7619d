"""Follows one execution to its end: phases as they pass, progress, and the log as it is written."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from runner.client import Client
from runner.terminal import Terminal, plain, size_words

ENDED = {"complete", "error", "stopped", "crashed"}
POLL_S = 0.3
PHASE_WORDS = {
    "queued": "waiting for a worker",
    "code": "taking the code from the store",
    "inputs": "taking the inputs from the store",
    "image": "making the image ready",
    "run": "running the command",
    "outputs": "storing the outputs",
}


def follow(client: Client, execution_id: str, terminal: Terminal) -> dict[str, Any]:
    """Show the execution until it has ended and its whole log is shown; answer its last state."""
    view = View(terminal)
    after = 0
    while True:
        execution = client.get(f"executions/{execution_id}/", include="phases", exclude="outputs")
        has_ended = execution["status"] in ENDED
        after = _show_events(client, execution_id, after, view)
        view.show(execution)
        if has_ended:
            terminal.close()
            return execution
        time.sleep(POLL_S)


def _show_events(client: Client, execution_id: str, after: int, view: View) -> int:
    while True:
        events = client.events(execution_id, after)["events"]
        for event in events:
            view.event(event)
            after = max(after, event["number"])
        if not events:
            return after


class View:
    """Remembers what is already on the screen."""

    def __init__(self, terminal: Terminal, clock: Callable[[], float] = time.monotonic) -> None:
        self.terminal = terminal
        self._clock = clock
        self._since = clock()
        # By name and start: an execution that is run again passes its phases again.
        self._begun: set[tuple[str, str]] = set()
        self._ended: set[tuple[str, str]] = set()
        self._epoch = 0
        self._reason = ""

    def event(self, event: dict[str, Any]) -> None:
        """Show one line of the log."""
        message = plain(event["message"])
        metadata = _metadata(event["stream"], message)
        if metadata:
            self._epoch = int(metadata.get("epoch") or self._epoch)
            if self.terminal.is_live:
                message = metadata_words(metadata)
        colour = {"status": "blue", "stderr": "yellow"}.get(event["stream"], "")
        clock = self.terminal.paint(event["time"][11:19], "dim")
        mark = self.terminal.paint("│" if self.terminal.has_symbols else "|", "dim")
        words = self.terminal.paint(message, colour) if colour else message
        self.terminal.line(f"  {mark} {clock} {words}")

    def show(self, execution: dict[str, Any]) -> None:
        """Show the phases that began or ended since the last time, and where it stands now."""
        phases = [phase for phase in phases_of(execution) if phase["name"] in PHASE_WORDS]
        for phase in phases:
            self._show_begun(phase)
            self._show_ended(phase)
        reason = execution.get("reason_text") or ""
        is_news = reason and reason != self._reason and not execution.get("end_time")
        if is_news and not self.terminal.is_live:
            self.terminal.line(f"  {plain(reason)}")
        self._reason = reason
        self._show_status(execution, phases)

    def _show_begun(self, phase: dict[str, Any]) -> None:
        name = phase["name"]
        if not phase.get("started_at") or (name, phase["started_at"]) in self._begun:
            return
        self._begun.add((name, phase["started_at"]))
        self._since = self._clock()
        if not self.terminal.is_live and not phase.get("ended_at"):
            self.terminal.line(f"phase {name}: {PHASE_WORDS[name]}")

    def _show_ended(self, phase: dict[str, Any]) -> None:
        name = phase["name"]
        if not phase.get("ended_at") or (name, phase["started_at"]) in self._ended:
            return
        self._ended.add((name, phase["started_at"]))
        took = f"{seconds_between(phase['started_at'], phase['ended_at']):.1f} s"
        counted = total_words(phase) if phase.get("total") else ""
        self.terminal.done(f"phase {name:<8} {took:>7}  {counted}".rstrip())

    def _show_status(self, execution: dict[str, Any], phases: list[dict[str, Any]]) -> None:
        name = execution.get("phase") or execution["status"]
        current = next((phase for phase in phases if phase["name"] == name), None)
        passed = f"{self._clock() - self._since:.0f} s"
        words = execution.get("status_detail") or PHASE_WORDS.get(name, "")
        if name == "queued" and self._reason:
            words = self._reason
        epochs = (execution.get("parameters") or {}).get("epochs")
        if current and current.get("total"):
            bar = self.terminal.bar(current.get("done") or 0, current["total"])
            words = f"{bar}  {count_words(current)}"
        elif name == "run" and self._epoch and epochs:
            words = f"{self.terminal.bar(self._epoch, epochs)}  epoch {self._epoch} of {epochs}"
        self.terminal.status(f"{name:<8} {plain(words)}  {passed}")


def phases_of(execution: dict[str, Any]) -> list[dict[str, Any]]:
    """Answer the phases with the wait for a worker as the first: the agent reports the others."""
    reported = execution.get("phases") or []
    if any(phase["name"] == "queued" for phase in reported) or not execution.get("ctime"):
        return reported
    ended_at = reported[0]["started_at"] if reported else execution.get("end_time")
    return [{"name": "queued", "started_at": execution["ctime"], "ended_at": ended_at}, *reported]


def _metadata(stream: str, message: str) -> dict[str, Any] | None:
    """Answer the point of metadata that a line holds: a JSON object on standard output."""
    if stream != "stdout" or not message.startswith("{"):
        return None
    try:
        point = json.loads(message)
    except ValueError:
        return None
    return point if isinstance(point, dict) else None


def metadata_words(metadata: dict[str, Any]) -> str:
    shown = {name: value for name, value in metadata.items() if not name.startswith("_")}
    return "   ".join(f"{name} {value}" for name, value in shown.items())


def count_words(phase: dict[str, Any]) -> str:
    done = phase.get("done") or 0
    return f"{size_words(done) if _is_bytes(phase) else done} of {total_words(phase)}"


def total_words(phase: dict[str, Any]) -> str:
    total = phase["total"]
    return size_words(total) if _is_bytes(phase) else f"{total} {phase.get('unit') or ''}".rstrip()


def _is_bytes(phase: dict[str, Any]) -> bool:
    return phase.get("unit") in {"B", "byte", "bytes"}


def seconds_between(start: str, end: str) -> float:
    return (_moment(end) - _moment(start)).total_seconds()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
