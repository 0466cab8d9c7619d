"""`python -m agent`: take executions from a control service and run them on this machine."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.loop.slots import Agent
from agent.phases.failures import Refused, WrongUse
from agent.runtimes.base import Runtime
from agent.runtimes.local_process import LocalProcess
from agent.settings import Settings, current_environment, read_settings

log = logging.getLogger("agent")


def main(argv: Sequence[str]) -> int:
    """Run until drained; 1 for a known error, 2 for wrong use."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    # Its connection warnings repeat what we say ourselves, with the URL and its signature.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        settings = read_settings(argv, current_environment())
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _lock(settings.state)
        runtime = _runtime(settings)
        runtime.check()
        warning = runtime.warning()
        if warning:
            log.warning("%s", warning)
        agent = Agent(settings, runtime)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: agent.drain())
        agent.run()
        os.close(lock)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 2 if isinstance(refusal, WrongUse) else 1
    return 0


def _runtime(settings: Settings) -> Runtime:
    if settings.runtime == "process":
        return LocalProcess()
    # Here, so that the other runtime starts without the engine's library.
    from agent.runtimes.docker import DockerEngine

    return DockerEngine(settings.state)


def _lock(state: Path) -> int:
    """Hold the state directory: two agents in it would run each other's attempts."""
    file = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Refused(f"Another agent works in {state}.") from error
    return file


def program() -> None:
    """Start as the release does."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    program()
