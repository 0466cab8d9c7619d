"""Steps as plain processes of this machine, for development: no isolation whatever.

Each step runs under a supervisor (supervisor.py) that belongs to nobody, so an agent that is
killed and started again finds the step, its whole output and its end on disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import select
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from agent import wire
from agent.phases.endings import Exit
from agent.phases.failures import PhaseFailed
from agent.phases.layout import Layout
from agent.phases.output import Chunk
from agent.runtimes import supervisor
from agent.runtimes.base import Image, Job, Report

INHERITED = frozenset(
    {"HOME", "LANG", "LANGUAGE", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ", "USER"}
    | {"SSL_CERT_DIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
    | {"LD_LIBRARY_PATH"}
)
INHERITED_PREFIXES = ("LC_", "PIP_", "UV_", "CUDA_", "NVIDIA_")
"""Of the agent's own variables a step gets these: the rest may hold its operator's secrets."""

READ_BYTES = 1024 * 1024
POLL_S = 0.02
START_LIMIT_S = 30.0
WARNING = "This worker runs steps WITHOUT ISOLATION (runtime process): for development only"


class LocalProcess:
    """The runtime `process`."""

    name = "process"

    def __init__(self) -> None:
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def check(self) -> None:
        """Nothing is needed."""

    def facts(self) -> dict[str, Any]:
        return {"python": platform.python_version()}

    def warning(self) -> str | None:
        return WARNING

    def layout(self, folder: Path) -> Layout:
        return Layout(
            **{
                name: str(folder / name)
                for name in ("repository", "inputs", "outputs", "config", "control")
            }
        )

    def relay_address(self, network: str) -> str | None:
        return "127.0.0.1"

    def prepare_image(self, spec: wire.ExecutionSpec, report: Report) -> Image:
        return Image(None, f"Image: {spec.image} is not used, the step runs on the machine itself")

    def get_ready(self, job: Job) -> None:
        pass

    def start(self, job: Job) -> str:
        run = _run_folder(job.folder)
        run.mkdir(exist_ok=True)
        if not (run / "supervisor").exists():
            self._start_supervisor(job, run)
        ended = START_LIMIT_S + time.monotonic()
        while not (run / "started").exists():
            if (run / "exit.json").exists():
                detail = json.loads((run / "exit.json").read_text())["detail"]
                raise PhaseFailed("container_create_failed", f"The step cannot start: {detail}")
            if time.monotonic() > ended:
                raise PhaseFailed("container_create_failed", "The step did not start in time")
            time.sleep(POLL_S / 4)
        return "process"

    def _start_supervisor(self, job: Job, run: Path) -> None:
        order = {
            "argv": job.argv,
            "cwd": job.layout.repository,
            "env_vars": _inherited() | job.env_vars,
        }
        with os.fdopen(os.open(run / "job.json", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.truncate()
            json.dump(order, file)
        # -I -S: nothing of the step's environment, and a start in 15 ms.
        self._children[str(job.folder)] = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, str(run)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(run / "supervisor.err").open("ab"),
            start_new_session=True,
            cwd="/",
            env={},
        )

    def output(self, handle: str, folder: Path) -> FileOutput:
        return FileOutput(_run_folder(folder))

    def wait(self, handle: str, folder: Path, timeout_s: float) -> Exit | None:
        run = _run_folder(folder)
        pid = _living(run)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                watch = os.pidfd_open(pid)
                try:
                    if not select.select([watch], [], [], timeout_s)[0]:
                        return None
                finally:
                    os.close(watch)
        self._reap(folder)
        return _exit_of(run)

    def _reap(self, folder: Path) -> None:
        child = self._children.get(str(folder))
        if child is not None and child.poll() is not None:
            del self._children[str(folder)]

    def terminate(self, handle: str, folder: Path) -> None:
        _signal(folder, signal.SIGTERM)

    def interrupt(self, handle: str, folder: Path) -> None:
        _signal(folder, signal.SIGINT)

    def kill(self, handle: str, folder: Path) -> None:
        _signal(folder, signal.SIGUSR1)

    def remove(self, handle: str | None, folder: Path, attempt_id: str) -> None:
        run = _run_folder(folder)
        if run.exists() and _living(run) is not None:
            self.kill("", folder)
            self.wait("", folder, START_LIMIT_S)
        self._reap(folder)

    def remove_leftovers(self, live: Collection[str]) -> list[str]:
        """Nothing lies outside the attempts' own folders."""
        return []

    def drop_images(self) -> None:
        """There are none."""


class FileOutput:
    """The supervisor's file; a position is a number of bytes."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._file: int | None = None

    def read(self, position: Any, wait_s: float) -> Chunk:
        offset = int(position or 0)
        limit = time.monotonic() + wait_s
        while True:
            # Asked first: what is there when it has ended is all there will be.
            has_ended = (self._run / "exit.json").exists() or _living(self._run) is None
            block = self._read(offset)
            if block:
                return Chunk(block, offset + len(block))
            if has_ended:
                return Chunk(b"", offset, is_end=True)
            if time.monotonic() > limit:
                return Chunk(b"", offset)
            time.sleep(POLL_S)

    def _read(self, offset: int) -> bytes:
        if self._file is None:
            try:
                self._file = os.open(self._run / "output", os.O_RDONLY)
            except FileNotFoundError:
                return b""
        data = os.pread(self._file, READ_BYTES, offset)
        return data[: data.rfind(b"\n") + 1]

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _run_folder(folder: Path) -> Path:
    return folder / "run"


def _inherited() -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if key in INHERITED or key.startswith(INHERITED_PREFIXES) or key.lower().endswith("_proxy")
    }
    # A step that says `python` gets the Python that the agent itself runs on.
    here = str(Path(sys.executable).parent)
    kept["PATH"] = f"{here}:{os.environ.get('PATH', '/usr/local/bin:/usr/bin:/bin')}"
    return kept


def _living(run: Path) -> int | None:
    """Give the supervisor's process id, unless it is gone or its number is another's now."""
    try:
        pid, born = (run / "supervisor").read_text().split()
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return int(pid) if fields[18] == born and state not in "ZX" else None


def _signal(folder: Path, number: signal.Signals) -> None:
    pid = _living(_run_folder(folder))
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _exit_of(run: Path) -> Exit:
    try:
        seen = json.loads((run / "exit.json").read_text())
    except FileNotFoundError:
        return Exit(None, detail="The step was lost with the process that watched it")
    return Exit(**seen)
