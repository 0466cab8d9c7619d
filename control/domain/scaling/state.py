"""What the planner looks at and what it answers: frozen values, no clock, no dice.

Source: infrastructure.md 3.3. A worker group is one offering (type, market, region): falling back
is a later group of the same environment. Durations in seconds, money in US dollars an hour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class MachineState(StrEnum):
    """The life of a machine (SC-3).

        launching ──joins──► ready ⇄ draining ──► terminating ──► gone
            │                  │
            └─never─► failed   └─silent─► lost ──► terminating

    Capacity that was asked for and is not in the cloud's list yet is `GroupNow.in_flight`.
    """

    LAUNCHING = "launching"
    READY = "ready"
    DRAINING = "draining"
    TERMINATING = "terminating"
    GONE = "gone"
    FAILED = "failed"  # never joined within the boot grace
    LOST = "lost"  # joined, then silent


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine as the cloud and its agent together describe it."""

    id: str  # of our row
    state: MachineState
    slots: int
    busy_slots: int  # leases held
    launched_at: datetime
    idle_since: datetime | None = None  # None while it holds a lease, or has not joined
    is_outdated: bool = False  # made from an older template or image
    is_broken: bool = False  # agent crash-looping, GPU lost: drained whatever the bounds say
    is_end_sent: bool = False  # its termination was asked for: no way back
    cached_bytes: int = 0  # images and inputs it keeps warm
    is_reclaimed: bool = False  # the cloud takes it back: gets no work and is never undrained
    is_held: bool = False  # gets no new work for now, so that others fill up

    @property
    def is_live(self) -> bool:
        """Tell whether it counts in the size of the cloud's group, and in its bill.

        Draining, failed and lost ones do until their end is sent: ending one by its id lowers the
        size by one, and nothing else does.
        """
        return not self.is_end_sent and self.state not in _OVER


_OVER = (MachineState.TERMINATING, MachineState.GONE)


@dataclass(frozen=True, slots=True)
class GroupPolicy:
    """What an operator chose for a group."""

    name: str
    environments: tuple[str, ...]  # ids served, in the order of their queues
    rank: int  # lower is tried first among the groups of an environment
    slots: int
    minimum: int
    maximum: int
    price: float
    spare: int = 0  # whole idle machines kept warm
    idle_ttl_s: float = 300.0  # of the last free machine; shorter when others have room
    stabilisation_s: float = 120.0  # no drain so soon after a launch
    boot_grace_s: float = 900.0
    burst: int = 20  # launches at once before any proof that machines come up
    growth: float = 1.0  # then: at most growth x ready more
    hourly_budget: float | None = None
    monthly_budget: float | None = None
    floor_ignores_budget: bool = True
    config_version: str = ""


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """What the planner remembers of a group between ticks; kept in the group's row."""

    burst_now: float | None = None  # None: the policy's
    backoff_until: datetime | None = None
    backoff_s: float = 0.0  # the last one's length: doubles, at most 30 min
    backoff_class: str = ""  # a FailureClass
    backoff_message: str = ""  # the cloud's words
    last_failure_at: datetime | None = None
    refused_at: datetime | None = None  # the last time when the cloud had nothing at all
    boot_failures: int = 0  # in a row
    breaker_reason: str = ""  # "": closed
    breaker_version: str = ""  # config version at which it opened: another one closes it
    last_launch_at: datetime | None = None
    last_joined_at: datetime | None = None  # an agent came up then: the image works
    joined_version: str = ""  # the config version with which it did
    reclaimed_at: tuple[datetime, ...] = ()  # of the last 10 minutes
    avoid_until: datetime | None = None  # after reclaims of over 20 %
    spent_this_month: float = 0.0
    spent_at: datetime | None = None  # when that was last counted; another month starts at 0


@dataclass(frozen=True, slots=True)
class GroupNow:
    """One group as it is observed.

    `in_flight` is `max(0, recorded size - live machines in the cloud's list)`, where the recorded
    size is the last `GroupPlan.wanted`, lowered by one whenever the end of a machine is sent.
    """

    policy: GroupPolicy
    memory: GroupMemory
    machines: tuple[Machine, ...]  # not the gone ones
    in_flight: int = 0  # asked for by a recorded size, and not in the cloud's list yet
    cloud_read_at: datetime | None = None  # of the cloud's list; None: never
    registry_read_at: datetime | None = None  # of heartbeats and leases
    is_paused: bool = False  # a person holds the stack
    has_shrunk: bool = False  # the last list lost over half: stale until read twice


@dataclass(frozen=True, slots=True)
class Demand:
    """Waiting executions of one shape: counted, never listed."""

    environment: str  # id
    slots: int
    count: int
    priority: int = 0
    oldest_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """The decision for one group. `reason` is shown to people, so it is a sentence.

    `wanted` is the size to ask the cloud for: live (`Machine.is_live`) + in flight + launches. A
    machine that drains is in it until its end is sent, because only that lowers the size. What is
    in flight and was refused is no longer asked for.
    """

    group: str
    wanted: int
    launch: int
    drain: tuple[str, ...]  # machine ids
    undrain: tuple[str, ...]
    reason: str
    # "", budget, maximum, backoff, breaker, stale, paused, burst, avoided: what limits launches
    blocked_by: str = ""
    waits_for: datetime | None = None  # when what blocks ends by itself
    retire: tuple[str, ...] = ()  # busy, and outdated or broken: no new work, drained when idle
    hold: tuple[str, ...] = ()  # no new work as long as they are named here


@dataclass(frozen=True, slots=True)
class Plan:
    """All decisions of one tick, in the order the groups were given."""

    groups: tuple[GroupPlan, ...]
    unschedulable: tuple[Demand, ...] = ()  # fits no group's empty machine
    unmet: tuple[Demand, ...] = field(default=())  # fits, and nothing may open for it now
