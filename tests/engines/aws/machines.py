"""Boots what the world starts: real agents, from the release and the rendered user data.

    with aws_world() as world, machines(world, folder) as booted:
        …  # groups grow, agents join the control service that their user data names

A machine that the world ends loses its power; one that powers itself off ends in the world. The
world's fault `no-boot` is a broken image: its console says so, and no agent ever starts.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.engines.aws.sandbox import Sandbox
from tests.engines.aws.world import World
from tests.engines.processes import wait_until

TICK_S = 0.05
CONSOLE_EVERY_S = 0.5
CONSOLE_MOST = 20_000
_log = logging.getLogger(__name__)


class Machines(threading.Thread):
    """All machines of one world; every attribute may be changed while it runs."""

    def __init__(self, world: World, folder: Path) -> None:
        super().__init__(name="machines", daemon=True)
        self.world = world
        self.folder = folder
        self.boot_s = 0.0  # until cloud-init begins
        self.watchdog_s = 1200.0  # until the boot watchdog ends a machine without an agent
        self.by_id: dict[str, Sandbox] = {}
        self.ended: list[str] = []
        self._waiting: list[tuple[float, Mapping[str, object]]] = []
        self._told: dict[str, int] = {}
        self._is_over = threading.Event()
        # What started before is not ours: the world may have seen other tests.
        self._seen = max((event["n"] for event in world.machines()), default=0)
        self._told_at = 0.0

    def run(self) -> None:
        while not self._is_over.is_set():
            try:
                self._round()
            except (OSError, ValueError, httpx.HTTPError):
                # The world may be gone before us; anything else shows in what does not come.
                _log.exception("a round of the machines failed")
            self._is_over.wait(TICK_S)
        for machine in self.by_id.values():
            machine.power_off()

    def end(self) -> None:
        self._is_over.set()
        self.join(30)

    def console(self, instance_id: str) -> str:
        return self.by_id[instance_id].console.read_text(errors="replace")

    def wait_for_agents(self, count: int, *, limit_s: float = 60) -> list[str]:
        """Wait until so many running machines have an agent that joined; give their ids."""

        def joined() -> list[str]:
            return [
                name
                for name, machine in list(self.by_id.items())
                if not machine.is_off and (machine.state / "identity.json").exists()
            ]

        try:
            wait_until(lambda: len(joined()) == count, what=f"{count} agents", limit_s=limit_s)
        except TimeoutError as error:
            said = {name: self.console(name)[-1500:] for name in list(self.by_id)}
            raise TimeoutError(f"{error}: {said}") from error
        return joined()

    # -- inside ---------------------------------------------------------------------------------
    def _round(self) -> None:
        for event in self.world.machines(after=self._seen):
            self._seen = event["n"]
            if event["event"] == "started":
                self._waiting.append((time.monotonic() + self.boot_s, event))
            elif event["event"] == "ended":
                self._take_power(event["instance_id"])
        due = [one for one in self._waiting if one[0] <= time.monotonic()]
        self._waiting = [one for one in self._waiting if one not in due]
        for _, event in due:
            self._boot(event)
        for name, machine in self.by_id.items():
            machine.tick()
            if machine.wants_off and not machine.is_off:
                machine.power_off()
                self.world.power_off(name)
        self._tell_consoles()

    def _boot(self, event: Mapping[str, object]) -> None:
        name = str(event["instance_id"])
        if name in self.ended:
            return
        machine = Sandbox(
            self.folder / name,
            {
                "RUNTIME": "process",
                "LIMIT_S": f"{self.watchdog_s:g}",
                "EVERY_S": "0.5",
                # What a program unpacks to is the same on every machine.
                "SHIV_ROOT": str(self.folder / "programs"),
                "TALKOOT_AGENT_NAME": name,
                "TALKOOT_AGENT_IMDS_URL": self.world.metadata_url(name),
            },
        )
        machine.root.mkdir(parents=True)
        self.by_id[name] = machine
        if event["boots"]:
            machine.boot(str(event["user_data"]))
        else:
            machine.say("[    1.204] Kernel panic - not syncing: VFS: Unable to mount root fs")
            (machine.root / "notes").mkdir()

    def _take_power(self, name: str) -> None:
        self.ended.append(name)
        machine = self.by_id.get(name)
        if machine is not None and not machine.is_off:
            machine.power_off()

    def _tell_consoles(self) -> None:
        """Show the world what machines wrote, as EC2 keeps it for GetConsoleOutput."""
        if time.monotonic() - self._told_at < CONSOLE_EVERY_S:
            return
        self._told_at = time.monotonic()
        for name, machine in self.by_id.items():
            told = self._told.get(name, 0)
            if not machine.console.exists() or machine.console.stat().st_size == told:
                continue
            text = machine.console.read_bytes()
            self._told[name] = len(text)
            self.world.write_console(name, text[told:][-CONSOLE_MOST:].decode(errors="replace"))


@contextmanager
def machines(world: World, folder: Path, *, boot_s: float = 0.0) -> Iterator[Machines]:
    """Boot machines while the block runs; afterwards none of their processes is left."""
    booted = Machines(world, folder)
    booted.boot_s = boot_s
    booted.start()
    try:
        yield booted
    finally:
        booted.end()
