"""Processes of an engine run, found in /proc: by session, for plug-ins have groups of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One line of /proc/PID/stat."""

    pid: int
    name: str
    state: str
    parent: int
    session: int


def all_of_them() -> Iterator[Process]:
    """List every process of this machine that has not ended."""
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            found = look(int(entry.name))
            if found is not None:
                yield found


def look(pid: int) -> Process | None:
    """Read one process; None when it is gone, or dead and not yet reaped."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    head, _, rest = text.rpartition(")")
    fields = rest.split()
    if fields[0] in "ZX":
        return None
    return Process(pid, head.partition("(")[2], fields[0], int(fields[1]), int(fields[3]))


def of_session(session: int) -> list[Process]:
    """List the processes of a session; a run's leader gives it its number."""
    return [one for one in all_of_them() if one.session == session]


def children_named(name: str, parent: int) -> list[int]:
    """List the children of a process that run the program `name`."""
    return [one.pid for one in all_of_them() if one.parent == parent and one.name == name]


def kill_session(session: int, *, but: int = 0) -> None:
    """End everything of a session at once."""
    for one in of_session(session):
        if one.pid != but:
            send(one.pid, signal.SIGKILL)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; silent when the process is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
