"""What a killed run leaves behind, and how it is cleared (infrastructure.md 1.7)."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from control.domain.engine_failures import StackLock, locks_of
from control.domain.errors import PermanentError, TemporaryError
from control.plugins.engines import processes
from control.plugins.engines.processes import Process

Ask = Callable[[str, str], dict[str, Any]]
"""Stack and verb to what the engine answered."""

LEFT_ALONE_S = 20.0
"""An engine without its runner may be ending already: a second interrupt would cut it off."""
_ENGINE = "pulumi"
_RUNNER = "control.plugins.engines.runner"
_LOOK_EVERY_S = 0.1


def recover(ask: Ask, stack: str, pid: int | None, grace_s: float) -> str:
    """End what still runs, clear the lock if its holder is dead, read reality back.

    Raises PermanentError when a person must look, TemporaryError while a run still ends.
    """
    done: list[str] = []
    if pid is not None and still_running(pid):
        _end(pid, grace_s)
        done.append("the interrupted run has ended")
    pending = ask(stack, "pending")
    if pending["outcome"] == "missing":
        return _sentence([*done, "the stack does not exist (yet)"])
    answer = ask(stack, "refresh")
    if answer["outcome"] == "conflict":
        done.append(_unlock(ask, stack, locks_of(answer["words"])))
        answer = ask(stack, "refresh")
    if answer["outcome"] != "succeeded":
        raise PermanentError(f"Stack {stack} can not be read back: {answer['words'][-500:]}")
    done.extend(_told(pending.get("value") or []))
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


def _told(pending: list[dict[str, str]]) -> list[str]:
    return [
        f"{one['operation']} {one['urn'].rsplit('::', 1)[-1]} had not been confirmed: "
        "look for it in the cloud"
        for one in pending
    ]


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."
