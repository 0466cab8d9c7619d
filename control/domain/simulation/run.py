"""One day from event to event: the same protocol as the services, on a simulated cloud.

    submit ─► decide ─► record the size ─► engine ─► the cloud's size ─► launches ─► joins
                   └──► drain (guarded) ─► acknowledged ─► checked again ─► end recorded ─► ended

Each `─►` of ours is a side effect, and `crash` may kill the process before any of them.
Source: infrastructure.md 3.3 step 7 and 3.4.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from math import log

from control.domain.cloud_ports import FailureClass
from control.domain.scaling import memory
from control.domain.scaling.state import MachineState
from control.domain.simulation.fleet import SimGroup, SimMachine, moment
from control.domain.simulation.queue import Waiting
from control.domain.simulation.world import Day, Dice, Orders, Policy, Result, Sample, Seen, Work

RESTART_S = 30.0
HEARTBEAT_S = 10.0
GOING_S = 30.0  # from the order to end a machine until it is gone
RETRY_S = 60.0  # the cloud tries again when its group is short
REPORT_S = 30.0  # a refusal is read from the cloud within this time
NOTICE_S = 120.0  # from a reclaim's notice to the end
LONGEST_S = 7 * 86_400.0
SAMPLE_S = 60.0


def never() -> bool:
    """Crash never."""
    return False


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


@dataclass(slots=True)
class Simulation:
    """The state of one simulated day. Use `simulate`."""

    day: Day
    policy: Policy
    dice: Dice
    crash: Callable[[], bool] = never
    sample_s: float = SAMPLE_S
    at: float = 0.0
    down_until: float = 0.0
    numbers: int = 0
    submitted: int = 0
    plans: set[float] = field(default_factory=set[float])
    events: list[tuple[float, int, Callable[[], None]]] = field(
        default_factory=list[tuple[float, int, Callable[[], None]]]
    )
    groups: list[SimGroup] = field(default_factory=list[SimGroup])
    waiting: Waiting = field(default_factory=Waiting)
    waits: list[float] = field(default_factory=list[float])
    counts: Counts = field(default_factory=Counts)
    samples: list[Sample] = field(default_factory=list[Sample])

    def run(self) -> Result:
        """Play the day until its length is over and all work is done, or a week has passed."""
        self.groups = [SimGroup(offering) for offering in self.day.offerings]
        self._schedule_day()
        while self.events:
            at, _, happen = heapq.heappop(self.events)
            if at > LONGEST_S or (at >= self.day.length_s and self._is_done()):
                break
            self.at = at
            happen()
        return self._result()

    def _schedule_day(self) -> None:
        self._submit_next()
        self._after(0.0, self._tick)
        if self.sample_s:
            self._after(0.0, self._sample)
        for group in self.groups:
            for at, share in group.offering.raids:
                self._after(at, lambda group=group, share=share: self._raid(group, share))

    def _is_done(self) -> bool:
        return len(self.waits) == len(self.day.work)

    def _after(self, delay_s: float, happen: Callable[[], None]) -> None:
        self.numbers += 1
        heapq.heappush(self.events, (self.at + delay_s, self.numbers, happen))

    def _between(self, least: float, most: float) -> float:
        return least + (most - least) * self.dice.random()

    def _lives(self) -> bool:
        """Tell whether our process gets to its next side effect; it may die here."""
        if self.at < self.down_until:
            return False
        if self.crash():
            self.down_until = self.at + RESTART_S
            return False
        return True

    # What users do.

    def _submit_next(self) -> None:
        if self.submitted < len(self.day.work):
            work = self.day.work[self.submitted]
            self._after(work.at - self.at, lambda: self._submit(work))

    def _submit(self, work: Work) -> None:
        self.submitted += 1
        self.waiting.add(work)
        self._hand_out()
        if self.waiting.count and self.policy.after_submit_s is not None:
            due = self.at + self.policy.after_submit_s
            if not any(at <= due for at in self.plans):
                self.plans.add(due)
                self._after(self.policy.after_submit_s, lambda: self._plan_at(due))
        self._submit_next()

    def _hand_out(self) -> None:
        """Let free machines take work; which of them asks first is chance."""
        free = [
            machine
            for group in self.groups
            for machine in group.machines.values()
            if machine.free_slots > 0
        ]
        while free and self.waiting.count:
            index = int(self.dice.random() * len(free))
            if not self._take_one(free[index]) or free[index].free_slots <= 0:
                free[index] = free[-1]
                free.pop()

    def _feed(self, machine: SimMachine) -> None:
        while machine.free_slots > 0 and self._take_one(machine):
            pass

    def _take_one(self, machine: SimMachine) -> bool:
        offering = machine.group.offering
        work = self.waiting.take(offering.policy.environments, machine.free_slots)
        if work is None:
            return False
        self.numbers += 1
        run, began = self.numbers, self.at
        machine.runs[run] = work
        machine.busy_slots += work.slots
        machine.idle_since = None
        machine.changed()
        self._after(work.duration_s, lambda: self._end(machine, run, began))
        return True

    def _end(self, machine: SimMachine, run: int, began: float) -> None:
        work = machine.runs.pop(run, None)
        if work is None:  # the machine was taken back
            return
        self.waits.append(began - work.at)
        self._leave(machine, work)
        self._feed(machine)

    def _leave(self, machine: SimMachine, work: Work) -> None:
        machine.busy_slots -= work.slots
        if machine.busy_slots == 0:
            machine.idle_since = self.at
            if machine.state is MachineState.DRAINING:
                self._after(self._between(0, HEARTBEAT_S), lambda: self._acknowledge(machine))
        machine.changed()

    # What our process does.

    def _plan_at(self, due: float) -> None:
        self.plans.discard(due)
        self._plan()

    def _tick(self) -> None:
        self._plan()
        self._after(self.policy.period_s, self._tick)

    def _plan(self) -> None:
        if self.at < self.down_until:
            return
        seen = [self._seen(group) for group in self.groups]
        orders = self.policy.decide(seen, self.waiting.demands(), self.at)
        for group, order in zip(self.groups, orders, strict=True):
            self._carry_out(group, order)

    def _seen(self, group: SimGroup) -> Seen:
        return Seen(
            group.now(self.at),
            group.desired,
            refused_at=group.refused_at,
            launched_at=group.launched_at,
            drained_at=group.drained_at,
        )

    def _carry_out(self, group: SimGroup, order: Orders) -> None:
        for id_ in order.undrain:
            if self._lives():
                self._undrain(group.machines[id_])
        if order.size != group.recorded and self._lives():
            self._record(group, order.size)
        for id_ in order.drain:
            if self._lives():
                self._drain(group.machines[id_])
        if max(group.live, group.recorded) != group.desired and self._lives():
            self._start_engine(group)

    def _record(self, group: SimGroup, size: int) -> None:
        if size > group.recorded or size > group.live:
            group.launched_at = self.at
            if self.policy.learns:
                group.memory = memory.remember_launch(group.memory, moment(self.at))
        group.recorded = size

    def _undrain(self, machine: SimMachine) -> None:
        if machine.state is MachineState.DRAINING and not machine.is_end_sent:
            machine.state = MachineState.READY
            machine.changed()
            self.counts.undrained += 1
            self._feed(machine)

    def _drain(self, machine: SimMachine) -> None:
        """Ask for a drain, guarded: only of a ready machine without a lease."""
        if machine.state is not MachineState.READY or machine.runs:
            return
        machine.state = MachineState.DRAINING
        machine.changed()
        machine.group.drained_at = self.at
        self._after(self._between(0, HEARTBEAT_S), lambda: self._acknowledge(machine))

    def _acknowledge(self, machine: SimMachine) -> None:
        """End a machine whose agent stopped asking; leases are read once more before that."""
        is_over = machine.is_gone or machine.is_end_sent
        if is_over or machine.state is not MachineState.DRAINING or machine.runs:
            return
        if self._lives():
            self._record_end(machine)
        else:
            self._after(RESTART_S, lambda: self._acknowledge(machine))

    def _record_end(self, machine: SimMachine) -> None:
        machine.is_end_sent = True
        machine.state = MachineState.TERMINATING
        machine.group.recorded -= 1
        machine.changed()
        self._send_end(machine)

    def _send_end(self, machine: SimMachine) -> None:
        """Tell the cloud, again and again until it is told: ending by id is idempotent."""
        if machine.is_gone:
            return
        if not self._lives():
            self._after(RESTART_S, lambda: self._send_end(machine))
            return
        machine.ended_at = self.at
        machine.group.desired -= 1
        self.counts.busy_kills += len(machine.runs)
        self._cut_short(machine)
        self._after(GOING_S, lambda: self._gone(machine))

    def _gone(self, machine: SimMachine) -> None:
        if not machine.is_gone:
            machine.group.remove(machine, self.at)

    def _start_engine(self, group: SimGroup) -> None:
        if not group.is_engine_busy:
            group.is_engine_busy = True
            self._after(self.policy.engine_s, lambda: self._apply(group))

    def _apply(self, group: SimGroup) -> None:
        """Tell the cloud the newest size; what lives is never asked to go."""
        group.is_engine_busy = False
        if self._lives():
            group.desired = max(group.in_cloud, group.recorded)
            self._fill(group)

    # What the cloud does.

    def _fill(self, group: SimGroup) -> None:
        for _ in range(group.desired - group.in_cloud - group.attempts):
            group.attempts += 1
            self._after(self._between(2, 10), lambda: self._attempt(group))

    def _attempt(self, group: SimGroup) -> None:
        group.attempts -= 1
        if group.in_cloud + group.attempts >= group.desired:
            return
        offering = group.offering
        is_closed = any(since <= self.at < until for since, until in offering.closed)
        if is_closed or self.dice.random() < offering.refusal:
            self._refuse(group)
        else:
            self._launch(group)

    def _refuse(self, group: SimGroup) -> None:
        self.counts.refused += 1
        if self.policy.has_group:
            self._after(self._between(0, REPORT_S), lambda: self._report(group))
            self._after(RETRY_S, lambda: self._fill(group))
        else:
            group.desired -= 1
            group.recorded -= 1
            self._report(group)

    def _report(self, group: SimGroup) -> None:
        group.refused_at = self.at
        if self.policy.learns and group.recorded > group.live:
            group.memory = memory.remember_failure(
                group.memory,
                group.offering.policy,
                FailureClass.CAPACITY,
                "InsufficientInstanceCapacity",
                moment(self.at),
            )

    def _launch(self, group: SimGroup) -> None:
        offering = group.offering
        self.counts.machines += 1
        name = f"{offering.policy.name}-{self.counts.machines}"
        machine = SimMachine(name, group, self.at)
        group.machines[name] = machine
        if self.dice.random() < offering.dead:
            limit = self.policy.boot_limit_s
            grace = offering.policy.boot_grace_s if limit is None else limit
            self._after(grace, lambda: self._give_up(machine))
        else:
            self._after(self._between(*offering.boot_s), lambda: self._join(machine))
        if offering.reclaims_an_hour:
            hours = -log(1 - self.dice.random()) / offering.reclaims_an_hour
            self._after(hours * 3600, lambda: self._notice(machine))

    def _join(self, machine: SimMachine) -> None:
        if machine.is_gone or machine.state is not MachineState.LAUNCHING:
            return
        machine.state = MachineState.READY
        machine.idle_since = self.at
        machine.changed()
        group = machine.group
        if self.policy.learns:
            group.memory = memory.remember_joined(
                group.memory, group.offering.policy, moment(self.at)
            )
        self._feed(machine)

    def _give_up(self, machine: SimMachine) -> None:
        if machine.is_gone or machine.state is not MachineState.LAUNCHING:
            return
        if not self._lives():
            self._after(RESTART_S, lambda: self._give_up(machine))
            return
        self.counts.dead += 1
        group = machine.group
        if self.policy.learns:
            group.memory = memory.remember_failure(
                group.memory, group.offering.policy, FailureClass.BOOT_TIMEOUT, "", moment(self.at)
            )
        self._record_end(machine)

    def _raid(self, group: SimGroup, share: float) -> None:
        for machine in list(group.machines.values()):
            if self.dice.random() < share:
                self._notice(machine)

    def _notice(self, machine: SimMachine) -> None:
        if machine.is_gone or machine.is_end_sent or machine.is_reclaimed:
            return
        group = machine.group
        machine.is_reclaimed = True
        if self.policy.heeds_notices:
            machine.state = MachineState.DRAINING
            self._after(self._between(0, HEARTBEAT_S), lambda: self._acknowledge(machine))
        machine.changed()
        if self.policy.learns:
            group.memory = memory.remember_reclaim(group.memory, group.live, moment(self.at))
        self._after(NOTICE_S, lambda: self._take_back(machine))

    def _take_back(self, machine: SimMachine) -> None:
        if machine.is_gone or machine.ended_at is not None:
            return
        self.counts.reclaimed += 1
        self.counts.lost_runs += len(machine.runs)
        self._cut_short(machine)
        group = machine.group
        group.remove(machine, self.at)
        if self.policy.has_group:
            self._fill(group)
        else:
            group.desired -= 1
            group.recorded -= 1
        self._hand_out()

    def _cut_short(self, machine: SimMachine) -> None:
        for work in machine.runs.values():
            self.waiting.put_back(work)
        machine.runs.clear()
        machine.busy_slots = 0
        machine.state = MachineState.TERMINATING
        machine.changed()

    def _sample(self) -> None:
        there = [machine for group in self.groups for machine in group.machines.values()]
        self.samples.append(
            Sample(
                self.at,
                self.waiting.count,
                sum(max(group.recorded, group.live) for group in self.groups),
                sum(1 for machine in there if machine.is_live),
                sum(1 for machine in there if machine.busy_slots),
            )
        )
        self._after(self.sample_s, self._sample)

    def _result(self) -> Result:
        counts = self.counts
        return Result(
            policy=self.policy.name,
            waits_s=tuple(sorted(self.waits)),
            cost=sum(group.cost(self.at) for group in self.groups),
            machines=counts.machines,
            refused=counts.refused,
            dead=counts.dead,
            reclaimed=counts.reclaimed,
            lost_runs=counts.lost_runs,
            busy_kills=counts.busy_kills,
            undrained=counts.undrained,
            unfinished=len(self.day.work) - len(self.waits),
            ended_at=self.at,
            samples=tuple(self.samples),
        )


def simulate(
    day: Day,
    policy: Policy,
    dice: Dice,
    *,
    crash: Callable[[], bool] = never,
    sample_s: float = SAMPLE_S,
) -> Result:
    """Play a day under a policy. The same day, policy and dice give the same result.

    `crash` is asked before each side effect of our process; when it answers True the process dies
    and starts again 30 s later, knowing what was recorded and nothing else.
    """
    return Simulation(day, policy, dice, crash, sample_s).run()
