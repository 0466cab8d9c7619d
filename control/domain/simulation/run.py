"""One day from event to event: work arrives, a process decides, a cloud gives and takes.

submit ─► dispatch.py: queue and machines ◄─► process.py: decides and acts ◄─► cloud.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from control.domain.simulation.chance import Luck
from control.domain.simulation.clock import Clock
from control.domain.simulation.fleet import SimGroup
from control.domain.simulation.process import Process
from control.domain.simulation.world import Day, Dice, Policy, Result, Sample, Work

LONGEST_S = 7 * 86_400.0
SAMPLE_S = 60.0


def never() -> bool:
    """Crash never."""
    return False


@dataclass(slots=True)
class Simulation:
    """One simulated day. Use `simulate`."""

    day: Day
    process: Process
    sample_s: float
    submitted: int = 0
    samples: list[Sample] = field(default_factory=list[Sample])

    @property
    def clock(self) -> Clock:
        """Answer the day's time."""
        return self.process.clock

    def run(self) -> Result:
        """Play the day until its length is over and all work is done, or a week has passed."""
        self._submit_next()
        self.clock.after(0.0, self.process.begin)
        if self.sample_s:
            self.clock.after(0.0, self._sample)
        self.process.cloud.begin()
        while self.clock.due:
            at = self.clock.due[0][0]
            if at > LONGEST_S or (at >= self.day.length_s and self._is_done()):
                break
            self.clock.step()()
        return self._result()

    def _is_done(self) -> bool:
        return len(self.process.dispatch.waits) == len(self.day.work)

    def _submit_next(self) -> None:
        if self.submitted < len(self.day.work):
            work = self.day.work[self.submitted]
            self.clock.after(work.at - self.clock.at, lambda: self._submit(work))

    def _submit(self, work: Work) -> None:
        self.submitted += 1
        self.process.dispatch.submit(work)
        self.process.submitted()
        self._submit_next()

    def _sample(self) -> None:
        groups = self.process.groups
        there = [machine for group in groups for machine in group.machines.values()]
        self.samples.append(
            Sample(
                self.clock.at,
                self.process.dispatch.waiting.count,
                sum(max(group.recorded, group.live) for group in groups),
                sum(1 for machine in there if machine.is_live),
                sum(1 for machine in there if machine.busy_slots),
            )
        )
        self.clock.after(self.sample_s, self._sample)

    def _result(self) -> Result:
        counts, waits = self.process.cloud.counts, self.process.dispatch.waits
        return Result(
            policy=self.process.policy.name,
            waits_s=tuple(sorted(waits)),
            cost=sum(group.cost(self.clock.at) for group in self.process.groups),
            machines=counts.machines,
            refused=counts.refused,
            dead=counts.dead,
            reclaimed=counts.reclaimed,
            lost_runs=counts.lost_runs,
            busy_kills=counts.busy_kills,
            undrained=counts.undrained,
            unfinished=len(self.day.work) - len(waits),
            ended_at=self.clock.at,
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
    groups = [SimGroup(one, Luck(int(dice.random() * (1 << 53)))) for one in day.offerings]
    return Simulation(day, Process(policy, Clock(dice), groups, crash), sample_s).run()
