"""A small process of its own that runs one script and outlives the agent.

Started as a file, with the standard library only: `python -I -S supervisor.py FOLDER`. It reads
FOLDER/job.json (argv, env_vars, cwd), appends the output to FOLDER/output as stamped lines in
wire format, and at the end writes FOLDER/exit.json. SIGTERM and SIGINT are passed on; SIGUSR1
kills everything that the script started.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

READ_BYTES = 1024 * 1024
PIECE_BYTES = 64 * 1024
STALE_S = 2.0
"""A progress bar that never ends its line is shown in its newest state this often."""

DRAIN_S = 2.0
NOTE_BYTES = 4096
PR_SET_CHILD_SUBREAPER = 36


class Stamper:
    """Writes lines with strictly increasing times."""

    def __init__(self, file: int) -> None:
        self._file = file
        self.is_full = False
        self._last_us = 0
        self._second = -1
        self._prefix = b""

    def write(self, letter: bytes, lines: list[bytes]) -> None:
        if not lines:
            return
        micros = max(time.time_ns() // 1000, self._last_us + 1)
        second, first = divmod(micros, 1_000_000)
        self._last_us = micros + len(lines) - 1
        if first + len(lines) > 1_000_000:  # the lines run over into the next second
            room = 1_000_000 - first
            self._put(second, first, letter, lines[:room])
            self._put(second + 1, 0, letter, lines[room:])
        else:
            self._put(second, first, letter, lines)

    def _put(self, second: int, first: int, letter: bytes, lines: list[bytes]) -> None:
        if second != self._second:
            self._second = second
            text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
            self._prefix = text.encode()
        start = self._prefix
        block = b"".join(
            [b"%s%06d %s %s\n" % (start, us, letter, line) for us, line in enumerate(lines, first)]
        )
        rest = memoryview(block)
        try:
            while rest and not self.is_full:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            # A step whose output is lost must not go on as if all were well.
            self.is_full = True
            kill_all()


class Stream:
    """Cuts one pipe into lines."""

    def __init__(self, pipe: int, letter: bytes, stamper: Stamper) -> None:
        self.pipe = pipe
        self._letter = letter
        self._stamper = stamper
        self._tail = b""
        self._tail_at = 0.0

    def read(self) -> bool:
        """Take what is there; False at the end."""
        data = os.read(self.pipe, READ_BYTES)
        if not data:
            self.flush()
            return False
        if not self._tail:
            self._tail_at = time.monotonic()
        *lines, tail = (self._tail + data).split(b"\n")
        if lines:
            self._tail_at = time.monotonic()
        self._stamper.write(self._letter, list(tidy(lines)))
        if len(tail) > PIECE_BYTES:
            *pieces, tail = cut(tail if b"\r" not in tail else newest_state(tail))
            self._stamper.write(self._letter, pieces)
        self._tail = tail
        return True

    def flush(self) -> None:
        """Write a last line that has no line feed."""
        if self._tail:
            self._stamper.write(self._letter, list(tidy([self._tail])))
            self._tail = b""

    def show_stale(self) -> None:
        """Write the newest state of a progress bar that has not ended for a while."""
        if b"\r" in self._tail and time.monotonic() - self._tail_at > STALE_S:
            done, _, rest = self._tail.rpartition(b"\r")
            self._stamper.write(self._letter, [line for line in tidy([done]) if line])
            self._tail = rest
            self._tail_at = time.monotonic()


def tidy(lines: list[bytes]) -> Iterator[bytes]:
    """Keep the last state of overwritten lines, cut long ones."""
    for raw in lines:
        line = newest_state(raw) if b"\r" in raw else raw
        if len(line) > PIECE_BYTES:
            yield from cut(line)
        else:
            yield line


def newest_state(line: bytes) -> bytes:
    """Keep what a terminal would still show."""
    states = [state for state in line.split(b"\r") if state]
    return states[-1] if states else b""


def cut(line: bytes) -> list[bytes]:
    """Cut into pieces, never inside a character."""
    pieces: list[bytes] = []
    while len(line) > PIECE_BYTES:
        end = PIECE_BYTES
        while end > PIECE_BYTES - 4 and line[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(line[:end])
        line = line[end:]
    return [*pieces, line]


def descendants(*, dead: bool) -> list[int]:
    """Find the living or the dead processes below this one; orphans come to us, a subreaper."""
    parents: dict[int, list[tuple[int, bool]]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                parents.setdefault(int(parent), []).append((int(entry.name), state in "ZX"))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += [pid for pid, is_dead in children if is_dead is dead]
        waiting += [pid for pid, _ in children]
    return found


def kill_all(*_: Any) -> None:
    """Kill until nothing is left: a process may have forked meanwhile."""
    for _attempt in range(50):
        living = descendants(dead=False)
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in descendants(dead=True):
            if pid != SCRIPT_PID[0]:  # Popen waits for that one
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        if not living:
            return
        time.sleep(0.005)


SCRIPT_PID = [0]


def kernel_kills() -> int:
    """Count the processes that the kernel killed for want of memory since it started."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def pump(script: subprocess.Popen[bytes], streams: list[Stream]) -> None:
    """Copy output until both pipes end, or a while after the script has ended."""
    selector = selectors.DefaultSelector()
    for stream in streams:
        selector.register(stream.pipe, selectors.EVENT_READ, stream)
    ended_at: float | None = None
    while selector.get_map():
        for key, _ in selector.select(0.25 if ended_at is None else 0.02):
            if not key.data.read():
                selector.unregister(key.fd)
        for stream in streams:
            stream.show_stale()
        if ended_at is None and script.poll() is not None:
            ended_at = time.monotonic()
            kill_all()  # nothing outlives the script, as in a container
        if ended_at is not None and time.monotonic() - ended_at > DRAIN_S:
            break
    for stream in streams:
        stream.flush()


class ExitNote:
    """The file that tells the end. Its room on the disk is taken at the start."""

    def __init__(self, folder: Path) -> None:
        self._draft = folder / "exit.new"
        self._path = folder / "exit.json"
        self._draft.write_bytes(b" " * NOTE_BYTES)

    def write(self, code: int, *, is_oom: bool, is_disk_full: bool, detail: str) -> None:
        values = {"code": code, "is_oom": is_oom, "is_disk_full": is_disk_full, "detail": detail}
        with self._draft.open("r+b") as file:
            file.write(json.dumps(values).encode().ljust(NOTE_BYTES)[:NOTE_BYTES])
        self._draft.replace(self._path)


def start(job: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start the script as the head of a process group of its own."""
    return subprocess.Popen(
        job["argv"],
        cwd=job["cwd"],
        env=job["env_vars"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def claim(folder: Path) -> bool:
    """Be the only supervisor of the folder: an agent killed while it started us starts another."""
    try:
        file = os.open(folder / "supervisor", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    born = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    os.write(file, f"{os.getpid()} {born}".encode())
    os.close(file)
    return True


def main(folder: Path) -> None:
    """Run the job of `folder`."""
    if not claim(folder):
        return
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    job = json.loads((folder / "job.json").read_text())
    file = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    stamper = Stamper(file)
    note = ExitNote(folder)
    killed_before = kernel_kills()
    try:
        script = start(job)
    except OSError as error:
        note.write(127, is_oom=False, is_disk_full=False, detail=str(error)[:1000])
        return
    SCRIPT_PID[0] = script.pid

    def pass_on(number: int, _frame: Any) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(script.pid, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    signal.signal(signal.SIGUSR1, kill_all)
    (folder / "started").touch()
    assert script.stdout is not None
    assert script.stderr is not None
    pipes = ((script.stdout.fileno(), b"o"), (script.stderr.fileno(), b"e"))
    pump(script, [Stream(pipe, letter, stamper) for pipe, letter in pipes])
    code = script.wait()
    kill_all()
    is_oom = code in (-9, 137) and kernel_kills() > killed_before
    code = 128 - code if code < 0 else code
    note.write(code, is_oom=is_oom, is_disk_full=stamper.is_full, detail="")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
