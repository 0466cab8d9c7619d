"""The simulated clouds: groups with a size, machines that boot, never come up or are taken back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from control.domain.scaling.state import GroupMemory, GroupNow, Machine, MachineState
from control.domain.simulation.chance import Luck
from control.domain.simulation.world import BEGIN, Offering, Work


def moment(at: float) -> datetime:
    """Answer the time of day of a simulated second."""
    return BEGIN + timedelta(seconds=at)


@dataclass(slots=True, eq=False)
class SimMachine:
    """One machine; `view` is what a policy sees of it, made again only after a change."""

    id: str
    number: int  # the group's first is 1
    group: SimGroup
    launched_at: float
    state: MachineState = MachineState.LAUNCHING
    busy_slots: int = 0
    runs: dict[int, Work] = field(default_factory=dict[int, Work])  # by number of the run
    idle_since: float | None = None
    is_reclaimed: bool = False
    is_held: bool = False  # its agent was told to ask for no work
    asks: bool = True  # the agent asks: it hears with its next heartbeat that it may again
    is_end_sent: bool = False  # recorded; the cloud may not know yet
    is_gone: bool = False
    ended_at: float | None = None  # billing stops
    _view: Machine | None = None

    def changed(self) -> None:
        """Forget the view."""
        self._view = None

    @property
    def is_live(self) -> bool:
        """Tell whether it counts in the size."""
        return not self.is_end_sent and not self.is_gone

    @property
    def free_slots(self) -> int:
        """Answer the slots that take work now."""
        if self.state is not MachineState.READY or self.is_gone or not self.asks:
            return 0
        return self.group.offering.policy.slots - self.busy_slots

    def view(self) -> Machine:
        """Answer the machine as the planner reads it."""
        if self._view is None:
            idle_since = None if self.idle_since is None else moment(self.idle_since)
            self._view = Machine(
                id=self.id,
                state=self.state,
                slots=self.group.offering.policy.slots,
                busy_slots=self.busy_slots,
                launched_at=moment(self.launched_at),
                idle_since=idle_since,
                is_end_sent=self.is_end_sent,
                is_reclaimed=self.is_reclaimed,
                is_held=self.is_held,
            )
        return self._view


@dataclass(slots=True, eq=False)
class SimGroup:
    """One group: our row of it, and the cloud's size of it."""

    offering: Offering
    luck: Luck
    machines: dict[str, SimMachine] = field(default_factory=dict[str, SimMachine])
    memory: GroupMemory = field(default_factory=GroupMemory)
    recorded: int = 0  # our row: the size that was decided last
    desired: int = 0  # the cloud's: the size that it was told
    attempts: int = 0  # launches that the cloud is trying now
    tried: int = 0
    given: int = 0
    given_at: float | None = None  # the last launch
    is_engine_busy: bool = False
    refused_at: float | None = None
    launched_at: float | None = None
    drained_at: float | None = None
    billed: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    @property
    def live(self) -> int:
        """Count the machines in the size."""
        return sum(1 for machine in self.machines.values() if machine.is_live)

    @property
    def in_cloud(self) -> int:
        """Count the machines that the cloud counts: whose end it was not told."""
        return sum(1 for machine in self.machines.values() if machine.ended_at is None)

    def now(self, at: float) -> GroupNow:
        """Answer the group as the planner reads it, with news of this moment."""
        read_at = moment(at)
        return GroupNow(
            self.offering.policy,
            self.memory,
            tuple(machine.view() for machine in self.machines.values()),
            in_flight=max(0, self.recorded - self.live),
            cloud_read_at=read_at,
            registry_read_at=read_at,
        )

    def remove(self, machine: SimMachine, at: float) -> None:
        """Take a machine out of the cloud and stop its bill."""
        machine.is_gone = True
        if machine.ended_at is None:
            machine.ended_at = at
        self.billed.append((machine.launched_at, machine.ended_at))
        del self.machines[machine.id]

    def cost(self, at: float) -> float:
        """Answer the dollars until `at`."""
        seconds = sum(until - since for since, until in self.billed)
        for machine in self.machines.values():
            seconds += (at if machine.ended_at is None else machine.ended_at) - machine.launched_at
        return seconds / 3600 * self.offering.policy.price
