"""Who runs what: the queue, and the machines that take from it; times in seconds of the day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from control.domain.simulation.clock import Clock
from control.domain.simulation.fleet import SimGroup, SimMachine
from control.domain.simulation.queue import Waiting
from control.domain.simulation.world import Work


@dataclass(slots=True)
class Dispatch:
    """The queue of a day. `emptied` hears of each machine that ended its last run."""

    clock: Clock
    groups: list[SimGroup]
    emptied: Callable[[SimMachine], None]
    waiting: Waiting = field(default_factory=Waiting)
    waits: list[float] = field(default_factory=list[float])  # of runs that ended well

    def submit(self, work: Work) -> None:
        """Queue work; a free machine takes it at once."""
        self.waiting.add(work)
        self.hand_out()

    def hand_out(self) -> None:
        """Let free machines take work; which of them asks first is chance."""
        free = [
            machine
            for group in self.groups
            for machine in group.machines.values()
            if machine.free_slots > 0
        ]
        while free and self.waiting.count:
            index = int(self.clock.dice.random() * len(free))
            if not self._take_one(free[index]) or free[index].free_slots <= 0:
                free[index] = free[-1]
                free.pop()

    def feed(self, machine: SimMachine) -> None:
        """Let one machine take all that it has room for."""
        while machine.free_slots > 0 and self._take_one(machine):
            pass

    def cut_short(self, machine: SimMachine) -> None:
        """Queue what a machine ran when it ended."""
        runs, machine.runs = machine.runs, {}
        machine.busy_slots = 0
        machine.changed()
        for work in runs.values():
            self.waiting.put_back(work)
        if runs:
            self.hand_out()

    def _take_one(self, machine: SimMachine) -> bool:
        environments = machine.group.offering.policy.environments
        work = self.waiting.take(environments, machine.free_slots)
        if work is None:
            return False
        run, began = self.clock.number(), self.clock.at
        machine.runs[run] = work
        machine.busy_slots += work.slots
        machine.idle_since = None
        machine.changed()
        self.clock.after(work.duration_s, lambda: self._end(machine, run, began))
        return True

    def _end(self, machine: SimMachine, run: int, began: float) -> None:
        work = machine.runs.pop(run, None)
        if work is None:  # the machine was taken back
            return
        self.waits.append(began - work.at)
        machine.busy_slots -= work.slots
        machine.changed()
        if machine.busy_slots == 0:
            machine.idle_since = self.clock.at
            self.emptied(machine)
        self.feed(machine)
