"""What the loop needs of a container engine; two exist: docker and local_process."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from agent import wire
from agent.phases.endings import Exit
from agent.phases.layout import Layout
from agent.phases.output import Source


@dataclass(frozen=True, slots=True)
class Image:
    """What will run: `digest` as the registry names it, or the engine's own id; and as whom."""

    digest: str | None
    sentence: str
    user: str = "root"


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt, for a runtime. `folder` holds repository, inputs, outputs, config, control."""

    spec: wire.ExecutionSpec
    folder: Path
    layout: Layout
    env_vars: dict[str, str]
    argv: list[str]


@dataclass(frozen=True, slots=True)
class Report:
    """How a long step tells of itself; `check` raises Interrupted when it shall end."""

    progress: Callable[[int, int | None, str], None]
    say: Callable[[str], None]
    check: Callable[[], None]


class Runtime(Protocol):
    """All verbs are idempotent; `handle` is a text that survives a restart of the agent."""

    name: str

    def check(self) -> None:
        """Raise Refused with a sentence when nothing could run here."""
        ...

    def facts(self) -> dict[str, Any]:
        """Give versions and the like."""
        ...

    def warning(self) -> str | None:
        """Give a sentence for every log, or None."""
        ...

    def layout(self, folder: Path) -> Layout:
        """Give the directories as the step will see them."""
        ...

    def relay_address(self, network: str) -> str | None:
        """Give an address of this machine that the step can reach, or None."""
        ...

    def prepare_image(self, spec: wire.ExecutionSpec, report: Report) -> Image:
        """Make the image ready. Raises PhaseFailed."""
        ...

    def get_ready(self, job: Job) -> None:
        """Begin aside what `start` will need; what fails is done again there. Returns at once.

        The folders of the job are there, and may still be empty.
        """
        ...

    def start(self, job: Job) -> str:
        """Start, or find what was started before. Raises PhaseFailed."""
        ...

    def output(self, handle: str, folder: Path) -> Source:
        """Open the output of a step that was started."""
        ...

    def wait(self, handle: str, folder: Path, timeout_s: float) -> Exit | None:
        """Give the end, or None after `timeout_s`."""
        ...

    def terminate(self, handle: str, folder: Path) -> None:
        """Send SIGTERM."""
        ...

    def interrupt(self, handle: str, folder: Path) -> None:
        """Send SIGINT, which Python programs see as KeyboardInterrupt."""
        ...

    def kill(self, handle: str, folder: Path) -> None:
        """Kill every process of the step; silent for what is gone."""
        ...

    def remove(self, handle: str | None, folder: Path, attempt_id: str) -> None:
        """Remove what the attempt left in the engine; silent for what is gone."""
        ...

    def remove_leftovers(self, live: Collection[str]) -> list[str]:
        """Remove what no live attempt owns; answers the attempts' ids."""
        ...

    def drop_images(self) -> None:
        """Remove images nobody uses (VH_CLEAN)."""
        ...
