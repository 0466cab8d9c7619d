"""Our process in a simulated day: the same protocol as the services.

    decide ─► record the size ─► engine ─► the cloud's size
       └────► drain (guarded) ─► acknowledged ─► checked again ─► end recorded ─► end sent

Each `─►` is a side effect, and `crash` may kill the process before any of them: it starts again
30 s later, knowing what was recorded and nothing else. Source: infrastructure.md 3.3 step 7, 3.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from control.domain.cloud_ports import FailureClass
from control.domain.reconciling import READ_SOON_S, ZONES_TAKE, may_still_come
from control.domain.scaling import memory
from control.domain.scaling.state import MachineState
from control.domain.simulation.clock import Clock
from control.domain.simulation.cloud import SimCloud
from control.domain.simulation.dispatch import Dispatch
from control.domain.simulation.fleet import SimGroup, SimMachine, moment
from control.domain.simulation.world import Orders, Policy, Seen

RESTART_S = 30.0
HEARTBEAT_S = 10.0
ZONES_TAKE_S = ZONES_TAKE.total_seconds()
REPORT_S = READ_SOON_S  # a refusal is read from the cloud within this time


@dataclass(slots=True)
class Process:
    """What decides and acts, under a policy."""

    policy: Policy
    clock: Clock
    groups: list[SimGroup]
    crash: Callable[[], bool]
    down_until: float = 0.0
    plans: set[float] = field(default_factory=set[float])  # those that a submit asked for
    dispatch: Dispatch = field(init=False)
    cloud: SimCloud = field(init=False)

    def __post_init__(self) -> None:
        """Put the process between its queue and its cloud."""
        self.dispatch = Dispatch(self.clock, self.groups, self._emptied)
        self.cloud = SimCloud(self.clock, self.policy, self.groups, self)

    def begin(self) -> None:
        """Decide for the first time, and again and again from then on."""
        self.plan()
        self.clock.after(self.policy.period_s, self.begin)

    def submitted(self) -> None:
        """Hear of a submit: who listens decides soon."""
        if not self.dispatch.waiting.count or self.policy.after_submit_s is None:
            return
        due = self.clock.at + self.policy.after_submit_s
        if not any(at <= due for at in self.plans):
            self.plans.add(due)
            self.clock.after(self.policy.after_submit_s, lambda: self._plan_at(due))

    def _plan_at(self, due: float) -> None:
        self.plans.discard(due)
        self.plan()

    def _lives(self) -> bool:
        """Tell whether our process gets to its next side effect; it may die here."""
        if self.clock.at < self.down_until:
            return False
        if self.crash():
            self.down_until = self.clock.at + RESTART_S
            return False
        return True

    # Deciding, and what follows from it.

    def plan(self) -> None:
        """Decide for every group, and begin to carry it out."""
        if self.clock.at < self.down_until:
            return
        seen = [self._seen(group) for group in self.groups]
        orders = self.policy.decide(seen, self.dispatch.waiting.demands(), self.clock.at)
        for group, order in zip(self.groups, orders, strict=True):
            self._carry_out(group, order)

    def _seen(self, group: SimGroup) -> Seen:
        return Seen(
            group.now(self.clock.at),
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
        self._hold(group, order.hold)
        for id_ in order.drain:
            if self._lives():
                self._drain(group.machines[id_])
        if max(group.live, group.recorded) != group.desired and self._lives():
            self._start_engine(group)

    def _record(self, group: SimGroup, size: int) -> None:
        if size > group.recorded or size > group.live:
            group.launched_at = self.clock.at
            if self.policy.learns:
                group.memory = memory.remember_launch(group.memory, moment(self.clock.at))
        group.recorded = size

    def _undrain(self, machine: SimMachine) -> None:
        """Take a drain back; the agent hears of it with its next heartbeat."""
        if machine.state is MachineState.DRAINING and not machine.is_end_sent:
            machine.state = MachineState.READY
            self.cloud.counts.undrained += 1
            self._release(machine)

    def _hold(self, group: SimGroup, held: tuple[str, ...]) -> None:
        """Let agents ask for work or not; a hold counts at once, for claims ask our own row."""
        for machine in group.machines.values():
            should = machine.id in held
            if machine.is_held != should and machine.state is MachineState.READY and self._lives():
                if should:
                    machine.is_held, machine.asks = True, False
                    machine.changed()
                else:
                    self._release(machine)

    def _release(self, machine: SimMachine) -> None:
        machine.is_held = machine.asks = False
        machine.changed()
        self.clock.soon(0, HEARTBEAT_S, lambda: self._hear(machine))

    def _hear(self, machine: SimMachine) -> None:
        machine.asks = not machine.is_held
        self.dispatch.feed(machine)

    def _drain(self, machine: SimMachine) -> None:
        """Ask for a drain, guarded: only of a ready machine without a lease."""
        if machine.state is not MachineState.READY or machine.runs:
            return
        machine.state = MachineState.DRAINING
        machine.changed()
        machine.group.drained_at = self.clock.at
        self.clock.soon(0, HEARTBEAT_S, lambda: self._acknowledge(machine))

    def _emptied(self, machine: SimMachine) -> None:
        if machine.state is MachineState.DRAINING:
            self.clock.soon(0, HEARTBEAT_S, lambda: self._acknowledge(machine))

    def _acknowledge(self, machine: SimMachine) -> None:
        """End a machine whose agent stopped asking; leases are read once more before that."""
        is_over = machine.is_gone or machine.is_end_sent
        if is_over or machine.state is not MachineState.DRAINING or machine.runs:
            return
        if self._lives():
            self._record_end(machine)
        else:
            self.clock.after(RESTART_S, lambda: self._acknowledge(machine))

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
        if self._lives():
            self.cloud.end(machine)
        else:
            self.clock.after(RESTART_S, lambda: self._send_end(machine))

    def _start_engine(self, group: SimGroup) -> None:
        if not group.is_engine_busy:
            group.is_engine_busy = True
            self.clock.after(self.policy.engine_s, lambda: self._apply(group))

    def _apply(self, group: SimGroup) -> None:
        """Tell the cloud the newest size; what lives is never asked to go."""
        group.is_engine_busy = False
        if self._lives():
            self.cloud.resize(group, max(group.in_cloud, group.recorded))

    # What is heard of the cloud.

    def refused(self, group: SimGroup) -> None:
        """Read of a refusal: at once from a call that launches, later from a group's activities."""
        if self.policy.has_group:
            given_at = None if group.given_at is None else moment(group.given_at)
            now = moment(self.clock.at)
            least_s = ZONES_TAKE_S if may_still_come(now, given_at, now) else 0.0
            self.clock.soon(least_s, least_s + REPORT_S, lambda: self._report(group))
        else:
            self._report(group)

    def _report(self, group: SimGroup) -> None:
        group.refused_at = self.clock.at
        if group.recorded > group.live:
            self._learn(group, FailureClass.CAPACITY, "InsufficientInstanceCapacity")

    def _learn(self, group: SimGroup, kind: FailureClass, message: str) -> None:
        if self.policy.learns:
            group.memory = memory.remember_failure(
                group.memory,
                group.offering.policy,
                kind,
                message,
                moment(self.clock.at),
                None if group.given_at is None else moment(group.given_at),
            )

    def stillborn(self, machine: SimMachine) -> None:
        """Give a machine that never joins up in the end."""
        limit_s = self.policy.boot_limit_s
        grace_s = machine.group.offering.policy.boot_grace_s if limit_s is None else limit_s
        self.clock.after(grace_s, lambda: self._give_up(machine))

    def _give_up(self, machine: SimMachine) -> None:
        if machine.is_gone or machine.state is not MachineState.LAUNCHING:
            return
        if not self._lives():
            self.clock.after(RESTART_S, lambda: self._give_up(machine))
            return
        self.cloud.counts.dead += 1
        self._learn(machine.group, FailureClass.BOOT_TIMEOUT, "")
        self._record_end(machine)

    def joined(self, machine: SimMachine) -> None:
        """Let a machine that came up take work."""
        group = machine.group
        if self.policy.learns:
            policy, now = group.offering.policy, moment(self.clock.at)
            group.memory = memory.remember_joined(group.memory, policy, now)
        self.dispatch.feed(machine)

    def noticed(self, machine: SimMachine) -> None:
        """Give a machine that the cloud takes back no more work."""
        group = machine.group
        if self.policy.heeds_notices:
            machine.state = MachineState.DRAINING
            machine.changed()
            self.clock.soon(0, HEARTBEAT_S, lambda: self._acknowledge(machine))
        if self.policy.learns:
            now = moment(self.clock.at)
            group.memory = memory.remember_reclaim(group.memory, group.live, now)

    def cut_short(self, machine: SimMachine) -> None:
        """Queue what a machine ran when it ended."""
        machine.state = MachineState.TERMINATING
        self.dispatch.cut_short(machine)
