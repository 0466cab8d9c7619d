"""Looks at the processes that a test has started, as another user of the machine would."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def children_of(parent: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{parent}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(pid) for task in tasks for pid in read(task / "children").split()]


def descendants() -> list[str]:
    """Name the git and ssh processes that we started and that are still there."""
    found: list[str] = []
    todo = [os.getpid()]
    while todo:
        for pid in children_of(todo.pop()):
            todo.append(pid)
            name = read(Path(f"/proc/{pid}/comm")).decode().strip()
            if name.startswith(("git", "ssh")) and name != "sshd":
                found.append(name)
    return found


def watch_children(seen: list[bytes], done: threading.Event) -> None:
    while not done.is_set():
        todo = [os.getpid()]
        while todo:
            for pid in children_of(todo.pop()):
                todo.append(pid)
                seen.append(read(Path(f"/proc/{pid}/cmdline")))
                seen.append(read(Path(f"/proc/{pid}/environ")))


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def is_running(pid: int) -> bool:
    return b") Z " not in (stat := read(Path(f"/proc/{pid}/stat"))) and bool(stat)
