"""A stack engine that remembers its stacks in memory, for tests and demonstrations.

Two config keys of its own make it behave badly: FAIL holds the words of a failure, SLEEP_S how
long a run takes.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Self

from control.domain.cloud_ports import FindResource, StackEvent, StackOperation, StackResult
from control.domain.engine_failures import classify, headline
from control.domain.errors import PermanentError
from stacks.inputs import SIZE

FAIL = "fail"
SLEEP_S = "sleepS"
COMMIT = "0" * 40
_LOOK_EVERY_S = 0.01
_FIRST_PID = 1 << 22  # above every pid of Linux: nobody takes it for a process


class MemoryEngine:
    """The engine port without an engine: a stack is the config of its last `up`."""

    def __init__(self) -> None:
        self.stacks: dict[str, dict[str, str]] = {}
        self.operations: list[StackOperation] = []  # all that ran, oldest first
        self.recovered: list[str] = []
        self.in_git: dict[str, dict[str, str]] = {}  # stack to its config
        self.pending: dict[str, list[tuple[str, str]]] = {}  # stack to what a killed run began
        self.found: list[str | None] = []  # what `recover` was answered of it
        self.locked_by: dict[str, str] = {}  # stack to a holder's name, of another process
        self._pids = itertools.count(_FIRST_PID)
        self._running: dict[int, str] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_url(cls, url: str, *, options: Mapping[str, str]) -> Self:
        """Build; there is nothing to choose."""
        del url, options
        return cls()

    def run(
        self,
        operation: StackOperation,
        *,
        on_event: Callable[[StackEvent], None],
        on_start: Callable[[int], None],
        should_stop: Callable[[], bool],
    ) -> StackResult:
        """Do it at once, or as badly as the config says."""
        size = operation.config.get(SIZE)
        if size is not None and int(size) < operation.live:
            raise PermanentError(f"A size of {size} is refused: {operation.live} are there.")
        pid = next(self._pids)
        on_start(pid)
        began = time.monotonic()
        with self._lock:
            holder = self.locked_by.get(operation.stack)
            if holder is None and operation.stack in self._running.values():
                holder = "another process"
            if holder is not None:
                return StackResult("conflict", error=f"The stack is locked by {holder}.")
            self._running[pid] = operation.stack
            self.operations.append(operation)
        try:
            result = self._work(operation, on_event, should_stop)
        finally:
            del self._running[pid]
        return StackResult(
            result.outcome, result.changes, result.error, result.failure, time.monotonic() - began
        )

    def _work(
        self,
        operation: StackOperation,
        on_event: Callable[[StackEvent], None],
        should_stop: Callable[[], bool],
    ) -> StackResult:
        deadline = time.monotonic() + operation.time_limit_s
        ready_at = time.monotonic() + float(operation.config.get(SLEEP_S, 0))
        if SLEEP_S in operation.config:
            on_event(_event("diagnostic", "sleeping"))
        while time.monotonic() < ready_at:
            if should_stop():
                return StackResult("interrupted", error="The run was stopped on request.")
            if time.monotonic() > deadline:
                return StackResult("timed-out", error="The run took longer than its time limit.")
            time.sleep(_LOOK_EVERY_S)
        if FAIL in operation.config:
            words = operation.config[FAIL]
            on_event(_event("diagnostic", words, severity="error"))
            return StackResult("failed", {}, headline([words], ""), classify(words))
        return self._apply(operation, on_event)

    def _apply(
        self, operation: StackOperation, on_event: Callable[[StackEvent], None]
    ) -> StackResult:
        before = self.stacks.get(operation.stack)
        if before is None and not (operation.verb == "up" and operation.may_create):
            return StackResult("missing", error="The stack does not exist.")
        after = {**operation.unless_in_git, **operation.config}
        change = "same" if before == after else ("create" if before is None else "update")
        if operation.verb == "destroy":
            change = "delete"
        if change != "same" and operation.verb in ("up", "preview", "destroy"):
            on_event(_event("resource", "done", operation.stack, change))
        if operation.verb == "up":
            self.stacks[operation.stack] = after
        elif operation.verb == "destroy":
            self.stacks[operation.stack] = {}
        on_event(_event("summary", f"1 {change}"))
        return StackResult("succeeded", {change: 1})

    def recover(self, stack: str, pid: int | None, find: FindResource) -> str:
        """Forget the dead run's lock, and make what it had begun if it is in the cloud."""
        for type_, name in self.pending.pop(stack, []):
            self.found.append(find(type_, name))
        if stack in self.locked_by:
            raise PermanentError(f"Stack {stack} is locked by {self.locked_by[stack]}.")
        if pid is not None:
            self._running.pop(pid, None)
        self.recovered.append(stack)
        return "There was nothing to clear."

    def outputs(self, stack: str) -> Mapping[str, object]:
        """Answer the config of the last `up`."""
        return dict(self.stacks.get(stack, {}))

    def git_config(self, stack: str) -> Mapping[str, str]:
        """Answer what a test put into `in_git`."""
        return dict(self.in_git.get(stack, {}))

    def commit(self) -> str:
        """Answer a commit of zeros."""
        return COMMIT

    def plugins(self) -> Sequence[str]:
        """Need none."""
        return ()

    def pull(self) -> str:
        """Answer the one commit."""
        return COMMIT

    def warm(self) -> None:
        """Have nothing to make ready."""

    def close(self) -> None:
        """Have nothing to end."""

    def is_alive(self, pid: int) -> bool:
        """Say whether a run of that number goes on."""
        return pid in self._running

    def check(self) -> Mapping[str, str]:
        """Say that all is in memory."""
        return {"engine": "in memory, for tests"}


def _event(
    kind: str, text: str, resource: str = "", operation: str = "", severity: str = "info"
) -> StackEvent:
    return StackEvent(
        datetime.fromtimestamp(time.time(), UTC), kind, text, resource, operation, severity
    )
