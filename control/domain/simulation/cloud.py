"""The simulated cloud: it gives machines, refuses, loses boots and takes machines back.

size ─► attempts ─► refused ─► told to us, tried again
            └─────► launched ─► joins, or never does ─► notice ─► taken back
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from typing import Protocol

from control.domain.scaling.state import MachineState
from control.domain.simulation import chance
from control.domain.simulation.clock import Clock
from control.domain.simulation.fleet import SimGroup, SimMachine
from control.domain.simulation.world import Policy

STARTS_S = (2.0, 10.0)  # from a size that was raised to each attempt
RETRY_S = 60.0  # the cloud tries again when its group is short
NOTICE_S = 120.0  # from a reclaim's notice to the end
GOING_S = 30.0  # from the order to end a machine until it is gone


@dataclass(slots=True)
class Counts:
    """What is counted on the way."""

    machines: int = 0
    refused: int = 0
    dead: int = 0
    reclaimed: int = 0
    lost_runs: int = 0
    busy_kills: int = 0
    undrained: int = 0


class Listener(Protocol):
    """Who hears of what the cloud does."""

    def refused(self, group: SimGroup) -> None:
        """Hear that a launch was refused, at that moment."""
        ...

    def stillborn(self, machine: SimMachine) -> None:
        """Hear that a machine was launched that will never join."""
        ...

    def joined(self, machine: SimMachine) -> None:
        """Hear that a machine's agent came up."""
        ...

    def noticed(self, machine: SimMachine) -> None:
        """Hear that the cloud will take a machine back."""
        ...

    def cut_short(self, machine: SimMachine) -> None:
        """Hear that a machine ended with what it ran."""
        ...


@dataclass(slots=True)
class SimCloud:
    """All groups of a day, as their clouds keep them."""

    clock: Clock
    policy: Policy
    groups: list[SimGroup]
    listener: Listener
    counts: Counts = field(default_factory=Counts)

    def begin(self) -> None:
        """Schedule what comes whatever anybody does."""
        for group in self.groups:
            for number, (at, share) in enumerate(group.offering.raids):
                self.clock.after(
                    at, lambda group=group, n=number, share=share: self._raid(group, n, share)
                )

    def resize(self, group: SimGroup, size: int) -> None:
        """Hear a group's new size."""
        group.desired = size
        self._fill(group)

    def end(self, machine: SimMachine) -> None:
        """Hear that a machine is to end: its bill stops now, and the size falls by one."""
        machine.ended_at = self.clock.at
        machine.group.desired -= 1
        self.counts.busy_kills += len(machine.runs)
        self.listener.cut_short(machine)
        self.clock.after(GOING_S, lambda: self._gone(machine))

    def _gone(self, machine: SimMachine) -> None:
        if not machine.is_gone:
            machine.group.remove(machine, self.clock.at)

    def _fill(self, group: SimGroup) -> None:
        for _ in range(group.desired - group.in_cloud - group.attempts):
            group.attempts += 1
            self.clock.soon(*STARTS_S, lambda: self._attempt(group))

    def _attempt(self, group: SimGroup) -> None:
        group.attempts -= 1
        if group.in_cloud + group.attempts >= group.desired:
            return
        group.tried += 1
        offering, at = group.offering, self.clock.at
        is_closed = any(since <= at < until for since, until in offering.closed)
        if is_closed or group.luck.throw(chance.REFUSED, group.tried) < offering.refusal:
            self._refuse(group)
        else:
            self._launch(group)

    def _refuse(self, group: SimGroup) -> None:
        self.counts.refused += 1
        if self.policy.has_group:
            self.clock.after(RETRY_S, lambda: self._fill(group))
        else:
            group.desired -= 1
            group.recorded -= 1
        self.listener.refused(group)

    def _launch(self, group: SimGroup) -> None:
        offering, luck = group.offering, group.luck
        group.given += 1
        group.given_at = self.clock.at
        self.counts.machines += 1
        number = group.given
        machine = SimMachine(f"{offering.policy.name}-{number}", number, group, self.clock.at)
        group.machines[machine.id] = machine
        if luck.throw(chance.DEAD, number) < offering.dead:
            self.listener.stillborn(machine)
        else:
            least_s, most_s = offering.boot_s
            boot_s = least_s + (most_s - least_s) * luck.throw(chance.BOOT, number)
            self.clock.after(boot_s, lambda: self._join(machine))
        if offering.reclaims_an_hour:
            hours = -log(1 - luck.throw(chance.LIFE, number)) / offering.reclaims_an_hour
            self.clock.after(hours * 3600, lambda: self._notice(machine))

    def _join(self, machine: SimMachine) -> None:
        if machine.is_gone or machine.state is not MachineState.LAUNCHING:
            return
        machine.state = MachineState.READY
        machine.idle_since = self.clock.at
        machine.changed()
        self.listener.joined(machine)

    def _raid(self, group: SimGroup, raid: int, share: float) -> None:
        for machine in list(group.machines.values()):
            if group.luck.throw(chance.RAID, machine.number, raid) < share:
                self._notice(machine)

    def _notice(self, machine: SimMachine) -> None:
        if machine.is_gone or machine.is_end_sent or machine.is_reclaimed:
            return
        machine.is_reclaimed = True
        machine.changed()
        self.listener.noticed(machine)
        self.clock.after(NOTICE_S, lambda: self._take_back(machine))

    def _take_back(self, machine: SimMachine) -> None:
        if machine.is_gone or machine.ended_at is not None:
            return
        self.counts.reclaimed += 1
        self.counts.lost_runs += len(machine.runs)
        group = machine.group
        group.remove(machine, self.clock.at)
        if self.policy.has_group:
            self._fill(group)
        else:
            group.desired -= 1
            group.recorded -= 1
        self.listener.cut_short(machine)
