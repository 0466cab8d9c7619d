"""One group while a tick is planned: what it has, what was put on it, and what it may still open.

The only mutable values of the planner; they live for one call of `plan`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil, inf

from control.domain.scaling import gates, money
from control.domain.scaling.gates import Gate
from control.domain.scaling.packing import Bins, machines_for
from control.domain.scaling.state import GroupNow, Machine, MachineState

KINDS = ("ready", "held", "coming", "leaving")
"""Where an execution is put, first to last; only then is a machine opened."""


@dataclass(slots=True)
class Draft:
    """A group's plan in the making."""

    group: GroupNow
    gate: Gate | None
    is_avoided: bool
    is_probing: bool
    in_flight: int
    live: int = 0  # with what is in flight
    ready: int = 0
    coming: int = 0  # launching or in flight
    serving: int = 0  # ready or coming, of today's template and sound
    hourly: float = inf
    idle_ttl_s: float = 0.0
    free_before: int = 0  # free slots of cheaper groups that serve the same environments
    bins: dict[str, Bins] = field(default_factory=lambda: {kind: Bins() for kind in KINDS})
    new: Bins = field(default_factory=Bins)
    idle: list[Machine] = field(default_factory=list[Machine])  # ready, without a lease
    usable: list[Machine] = field(default_factory=list[Machine])  # ready and sound
    leaving: list[Machine] = field(default_factory=list[Machine])  # may be undrained
    worn: list[Machine] = field(default_factory=list[Machine])  # busy, and outdated or broken
    placed: dict[str, int] = field(default_factory=dict[str, int])  # executions, by where
    losing: int = 0  # slots in use on machines that the cloud takes back
    opened: int = 0
    opened_for_floor: int = 0
    short: dict[str, int] = field(default_factory=dict[str, int])  # machines missed, by gate

    @property
    def slots(self) -> int:
        """Answer the slots of a new machine."""
        return self.group.policy.slots

    def put(self, kind: str, slots: int, count: int) -> int:
        """Put executions on machines that are there; answer how many found no room."""
        found = self.bins[kind].place(slots, count)
        if found:
            self.placed[kind] = self.placed.get(kind, 0) + found
        return count - found

    def room(self, *, is_last: bool = True) -> tuple[int, str]:
        """Count the machines that may still open, and name what sets that limit.

        What the launch budget holds back goes to the next group; in the last one it waits.
        """
        if self.gate is not None and self.gate.passes_on:
            return 0, self.gate.kind
        policy = self.group.policy
        by_maximum = max(0, policy.maximum - self.live - self.opened)
        by_money = money.room(policy, self.hourly, self.live + self.opened)
        by_budget = inf if is_last else max(0, self._budget() - self.opened)
        if by_budget < min(by_money, by_maximum):
            return int(by_budget), "burst"
        if by_money < by_maximum:
            return int(by_money), "budget"
        return by_maximum, "maximum"

    def open(self, slots: int, count: int, *, is_last: bool = True) -> int:
        """Open machines for executions; answer how many must go elsewhere."""
        count -= self.new.place(slots, count) if self.opened else 0
        needed = machines_for(count, slots, self.slots)
        room, limit = self.room(is_last=is_last)
        opened = min(needed, room)
        if opened < needed:
            self.short[limit] = self.short.get(limit, 0) + needed - opened
        self.opened += opened
        self.new.add(self.slots, opened)
        found = self.new.place(slots, count)
        self.placed["new"] = self.placed.get("new", 0) + found
        return count - found

    def keep_floors(self) -> None:
        """Keep the minimum and the idle spare: undrain first, then open (step 3)."""
        policy = self.group.policy
        kept = self.kept_from_leaving
        missing = policy.minimum - self.serving - kept - self.opened
        missing -= self._keep(missing)
        self._open_floor(missing, is_minimum=True)
        whole = self.bins["ready"].untouched + self.bins["held"].untouched
        whole += self.bins["coming"].untouched + self.new.untouched
        spare = policy.spare - whole
        spare -= self._keep(spare)
        self._open_floor(spare, is_minimum=False)

    def _keep(self, count: int) -> int:
        """Take machines back that were leaving, for the floor; answer how many there were."""
        kept = 0
        leaving, ready = self.bins["leaving"], self.bins["ready"]
        for slots in sorted(leaving.whole):
            taken = max(0, min(count - kept, leaving.whole[slots]))
            leaving.whole[slots] -= taken
            ready.add(slots, taken)
            kept += taken
        return kept

    def _open_floor(self, count: int, *, is_minimum: bool) -> None:
        if count <= 0:
            return
        policy = self.group.policy
        room, limit = self.room()
        if limit == "budget" and is_minimum and policy.floor_ignores_budget:
            room, limit = max(0, policy.maximum - self.live - self.opened), "maximum"
        opened = min(count, room)
        if opened < count and not (limit == "maximum" and is_minimum):
            self.short[limit] = self.short.get(limit, 0) + count - opened
        self.opened += opened
        self.opened_for_floor += opened
        self.new.add(self.slots, opened)

    @property
    def kept_from_leaving(self) -> int:
        """Count the leaving machines that are needed after all."""
        return len(self.leaving) - self.bins["leaving"].untouched

    def launches(self) -> int:
        """Answer how many of the opened machines are launched now (step 4).

        Worked example: 30 opened, burst 20, 6 starting, 4 ready: 20 - 6 = 14 now, 16 later.
        """
        if self.gate is not None:
            return 0
        return int(max(0, min(self.opened, self._budget(is_last=True))))

    def _budget(self, *, is_last: bool = False) -> float:
        if self.is_probing and not is_last:
            return 1 - self.in_flight
        if self.is_proven:
            return inf
        policy, memory = self.group.policy, self.group.memory
        burst = policy.burst if memory.burst_now is None else memory.burst_now
        return max(int(burst), ceil(policy.growth * self.ready), 1) - self.coming

    @property
    def is_proven(self) -> bool:
        """Tell whether today's configuration came up, and nothing failed that was not made good.

        The burst bounds what a broken image may cost, and this one is not broken.
        """
        memory = self.group.memory
        is_today = memory.joined_version == self.group.policy.config_version
        return is_today and memory.last_joined_at is not None and memory.burst_now is None


def draft(group: GroupNow, now: datetime) -> Draft:
    """Read a group as it is observed: bins, counts and what keeps it from launching (step 1)."""
    found = gates.gate(group, now)
    in_flight = 0 if gates.is_refused(group, found, now) else group.in_flight
    made = Draft(
        group, found, gates.is_avoided(group.memory, now), gates.is_probing(group, now), in_flight
    )
    made.idle_ttl_s = group.policy.idle_ttl_s
    booted_by = now - timedelta(seconds=group.policy.boot_grace_s)
    for machine in group.machines:
        if machine.is_live:
            made.live += 1
            _count(made, machine, booted_by)
    made.live += in_flight
    made.coming += in_flight
    made.serving += in_flight
    made.bins["coming"].add(group.policy.slots, in_flight)
    made.hourly = money.ceiling(group.policy, group.memory, now)
    return made


def _count(made: Draft, machine: Machine, booted_by: datetime) -> None:
    if machine.state is MachineState.READY:
        _count_ready(made, machine)
    elif machine.state is MachineState.LAUNCHING:
        made.coming += 1
        if machine.launched_at >= booted_by:  # an older one will not come up
            made.bins["coming"].add(machine.slots)
            made.serving += 0 if machine.is_outdated else 1
    elif machine.is_reclaimed and machine.busy_slots:
        made.losing += machine.busy_slots
    elif machine.state is MachineState.DRAINING and _is_sound(machine) and not machine.busy_slots:
        made.leaving.append(machine)
        made.bins["leaving"].add(machine.slots)


def _count_ready(made: Draft, machine: Machine) -> None:
    made.ready += 1
    is_usable = not machine.is_broken and not machine.is_reclaimed
    bins = made.bins["held" if machine.is_held else "ready"]
    if _is_sound(machine):
        made.serving += 1
        made.usable.append(machine)
    if machine.busy_slots == 0:
        if not machine.is_reclaimed:
            made.idle.append(machine)
        if is_usable:
            bins.add(machine.slots)
        return
    if is_usable:
        bins.add_part(machine.slots - machine.busy_slots)
    if not _is_sound(machine) and not machine.is_reclaimed:
        made.worn.append(machine)


def _is_sound(machine: Machine) -> bool:
    return not (machine.is_outdated or machine.is_broken or machine.is_reclaimed)
