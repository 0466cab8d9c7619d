"""What a killed run leaves behind, and how it is cleared (infrastructure.md 1.7)."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from control.domain.cloud_ports import FindResource
from control.domain.engine_failures import StackLock, locks_of
from control.domain.errors import PermanentError, TemporaryError
from control.plugins.engines import processes
from control.plugins.engines.processes import Process


class Ask(Protocol):
    """Does a verb on a stack; `made` (URN to id) is what to record. What the engine answered."""

    def __call__(self, stack: str, verb: str, made: Mapping[str, str] = ...) -> dict[str, Any]:
        """Do it."""
        ...


@dataclass(frozen=True, slots=True)
class Engine:
    """What recovery works with: the engine, and the way to find in the cloud what it made."""

    ask: Ask
    find: FindResource


LEFT_ALONE_S = 20.0
"""An engine without its runner may be ending already: a second interrupt would cut it off."""
_ENGINE = "pulumi"
_RUNNER = "control.plugins.engines.runner"
_LOOK_EVERY_S = 0.1


def recover(engine: Engine, stack: str, pid: int | None, grace_s: float) -> str:
    """End what still runs, clear the lock if its holder is dead, read reality back.

    A creation that was never confirmed is looked for in the cloud by its name: what is there is
    recorded as made, so that nothing is made twice; what is not there is made by the next run.
    Raises PermanentError when a person must look, TemporaryError while a run still ends.
    """
    ask = engine.ask
    done: list[str] = []
    if pid is not None and still_running(pid):
        _end(pid, grace_s)
        done.append("the interrupted run has ended")
    pending = ask(stack, "pending")
    if pending["outcome"] == "missing":
        return _sentence([*done, "the stack does not exist (yet)"])
    begun = _found(pending.get("value") or [], engine.find)
    made = {one.urn: one.id for one in begun if one.id}
    for verb in ("adopt", "refresh") if made else ("refresh",):
        answer = ask(stack, verb, made)
        if answer["outcome"] == "conflict":
            done.append(_unlock(ask, stack, locks_of(answer["words"])))
            answer = ask(stack, verb, made)
        if answer["outcome"] != "succeeded":
            raise PermanentError(f"Stack {stack} can not be read back: {answer['words'][-500:]}")
    done.extend(str(one) for one in begun)
    return _sentence([*done, "what is recorded was compared with the cloud"])


def still_running(pid: int) -> list[Process]:
    """List what still runs of that runner's session; nothing if the number is another's now."""
    members = processes.of_session(pid)
    is_ours = any(one.name.startswith(_ENGINE) or _is_runner(one) for one in members)
    return members if is_ours else []


def _is_runner(process: Process) -> bool:
    try:
        return _RUNNER in Path(f"/proc/{process.pid}/cmdline").read_text()
    except OSError:
        return False


def _end(pid: int, grace_s: float) -> None:
    """Wait for the runner, which interrupts by itself; without one interrupt the engine once."""
    started = time.monotonic()
    has_interrupted = False
    while members := still_running(pid):
        waited_s = time.monotonic() - started
        is_alone = not any(_is_runner(one) for one in members)
        if is_alone and waited_s > LEFT_ALONE_S and not has_interrupted:
            for one in members:
                if one.name == _ENGINE:
                    processes.send(one.pid, signal.SIGINT)
            has_interrupted = True
        if waited_s > grace_s + 2 * LEFT_ALONE_S:
            raise TemporaryError("The engine's run has not ended yet.", delay_s=30)
        time.sleep(_LOOK_EVERY_S)


def _unlock(ask: Ask, stack: str, locks: list[StackLock]) -> str:
    """Clear the locks if every holder was a process of this machine that is dead."""
    alive = [lock for lock in locks if not _is_dead(lock)]
    if alive or not locks:
        holders = ", ".join(str(lock) for lock in alive) or "somebody"
        raise PermanentError(
            f"Stack {stack} is locked by {holders}. If nothing runs there any more, "
            f"`pulumi cancel --stack {stack}` clears the lock."
        )
    ask(stack, "cancel")
    return f"the lock of the dead process {locks[0].pid} was cleared"


def _is_dead(lock: StackLock) -> bool:
    if lock.host != socket.gethostname():
        return False
    found = processes.look(lock.pid)
    return found is None or not found.name.startswith(_ENGINE)


@dataclass(frozen=True, slots=True)
class _Begun:
    """An operation that the killed run began and never confirmed."""

    operation: str  # creating, updating, deleting …
    urn: str
    id: str | None  # of what it made; "": nothing is there, None: nobody could look

    def __str__(self) -> str:
        what = f"{self.operation} {self.urn.rsplit('::', 1)[-1]} had not been confirmed: "
        if self.id is None:
            return what + "look for it in the cloud"
        return what + (f"{self.id} is there and is recorded" if self.id else "it is not there")


def _found(pending: list[dict[str, str]], find: FindResource) -> list[_Begun]:
    """Look for what was being made. What only the engine knows, such as a provider, is no news."""
    begun: list[_Begun] = []
    for one in pending:
        if one["type"].startswith("pulumi:"):
            continue
        is_new = one["operation"] == "creating" and one["name"]
        made = find(one["type"], one["name"]) if is_new else None
        begun.append(_Begun(one["operation"], one["urn"], made))
    return begun


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."
