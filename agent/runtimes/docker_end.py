"""How a container ended, through the Docker Engine API."""

from __future__ import annotations

import threading
from typing import Any

import docker
from docker.errors import DockerException, NotFound

from agent.phases.endings import Exit


class Waiter(threading.Thread):
    """Waits for one container's end; an engine that restarts meanwhile is asked again."""

    def __init__(self, engine: docker.APIClient, handle: str) -> None:
        super().__init__(name="container", daemon=True)
        self._engine = engine
        self._handle = handle
        self.ended = threading.Event()
        self.seen: Exit | None = None
        self._pause = threading.Event()

    def run(self) -> None:
        while self.seen is None:
            try:
                # No time-out of its own: a step may run for weeks.
                answer = self._engine.wait(self._handle, timeout=None)
                is_well = answer["StatusCode"] == 0 and not answer.get("Error")
                self.seen = Exit(0) if is_well else self._ask_why()
            except NotFound:
                self.seen = Exit(None, detail="The container was removed by somebody else")
            except (DockerException, OSError):
                self._pause.wait(1.0)
        self.ended.set()

    def _ask_why(self) -> Exit | None:
        return _exit_of(self._engine.inspect_container(self._handle)["State"])


def _exit_of(state: dict[str, Any]) -> Exit | None:
    if state["Status"] in ("running", "paused", "restarting"):
        return None
    return Exit(
        int(state["ExitCode"]),
        is_oom=bool(state.get("OOMKilled")) and int(state["ExitCode"]) != 0,
        detail=str(state.get("Error") or ""),
    )
