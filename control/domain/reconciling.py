"""What a cloud's list, our rows and the agents' heartbeats together mean. Pure.

The cloud's list is the truth about machines (SC-2), but not every list is true: an empty answer
where forty machines were is a fault of the cloud until it was read twice, and never against the
word of the machines' own agents. Time that nobody watched proves nothing: after a gap in our own
reading (a jump of the clock, a network that was away) every limit starts again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from control.domain.cloud_ports import Instance
from control.domain.reaping import is_suspect
from control.domain.scaling.state import MachineState

READ_S = 30.0
"""The cloud is read so often."""
READ_SOON_S = 5.0
"""And so often while machines are awaited: a refusal sends what waits to the next group."""
AWAITED_FOR = timedelta(minutes=10)
"""Since the size was raised; later the usual rhythm will do."""
MISSED_FOR = timedelta(seconds=20)
"""A machine that two lists lacked is gone when so much time lies between them."""
GAP = timedelta(seconds=4 * READ_S)
"""A longer pause between two reads, or one that goes back in time, is a gap."""
LOST_SHARE = 0.5
"""A list that lacks more than this share of a group is read twice before it is believed."""
ORPHAN_CONFIRM = timedelta(minutes=10)
"""So long an orphan is watched, and reported, before it is ended (SC-8)."""
LEASE_MARGIN = timedelta(seconds=30)
"""Leases of a silent agent are ended first, then its machine."""
PAUSE_MOST_S = 300.0
ZONES_TAKE = timedelta(seconds=10)
SAME_WAVE = timedelta(minutes=1)
PRICE_EVERY = timedelta(hours=1)
SPEND_EVERY = timedelta(minutes=1)
RESEND_LEAST_S = 60.0
DOUBLINGS = 10
"""No pause grows for longer, so that no number ever becomes too large."""
RESEND_MOST_S = 900.0


@dataclass(frozen=True, slots=True)
class Agent:
    """The worker that a machine's agent became."""

    id: str
    joined_at: datetime
    last_seen_at: datetime
    has_left: bool = False

    def lives(self, now: datetime) -> bool:
        """Say whether its heartbeat proves that the machine is there."""
        return not self.has_left and not is_suspect(self.last_seen_at, now)


@dataclass(frozen=True, slots=True)
class Known:
    """A machine as our row has it, with its agent. `group_id` None: an orphan."""

    id: str
    instance_id: str
    group_id: str | None
    state: MachineState
    launched_at: datetime
    found_at: datetime
    seen_at: datetime
    joined_at: datetime | None = None  # None: its group has not learned yet that it came up
    failed_at: datetime | None = None
    missed_at: datetime | None = None  # first list in a row that lacked it
    end_sent_at: datetime | None = None
    end_tries: int = 0
    reclaim_at: datetime | None = None
    agent: Agent | None = None

    @property
    def was_expected_to_go(self) -> bool:
        """Say whether we ended it, or the cloud had announced to."""
        return self.end_sent_at is not None or self.reclaim_at is not None


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a group's machines may take."""

    boot_grace_s: float
    lease_s: float
    steady_since: datetime  # from here on the cloud was read without a gap


@dataclass(frozen=True, slots=True)
class Reading:
    """What one list says of one group, or of the orphans."""

    new: tuple[Instance, ...]
    here: tuple[Known, ...]
    gone: tuple[Known, ...]
    doubted: tuple[Known, ...]  # not in the list, and not believed gone
    has_shrunk: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """A machine's next state and why, in a sentence for people."""

    state: MachineState
    reason: str


def steady_since(before: datetime | None, read_at: datetime | None, now: datetime) -> datetime:
    """Say since when the cloud was read without a gap, now that it was read again."""
    if before is None or read_at is None:
        return now
    return before if timedelta(0) <= now - read_at <= GAP else now


def read_list(
    known: Sequence[Known], listed: Iterable[Instance], *, had_shrunk: bool, now: datetime
) -> Reading:
    """Compare a fresh list with the rows of one group.

    A machine that we did not end is gone when two lists in a row lack it and its agent is silent:
    clouds forget young machines for a moment. Of a list that lacks more than half of what should
    be there nobody at all is gone the first time; against living agents it stays in doubt.
    """
    by_id = {one.id: one for one in listed}
    ours = {one.instance_id for one in known}
    new = tuple(one for one in by_id.values() if one.id not in ours)
    here = tuple(one for one in known if one.instance_id in by_id)
    missing = tuple(one for one in known if one.instance_id not in by_id)
    surprising = [one for one in missing if not one.was_expected_to_go]
    staying = [one for one in known if not one.was_expected_to_go]
    is_odd = len(surprising) > LOST_SHARE * len(staying)
    if is_odd and not had_shrunk:
        return Reading(new, here, (), missing, has_shrunk=True)
    gone = tuple(one for one in missing if _is_gone(one, now))
    doubted = tuple(one for one in missing if one not in gone)
    return Reading(new, here, gone, doubted, has_shrunk=is_odd and bool(doubted))


def _is_gone(machine: Known, now: datetime) -> bool:
    if machine.was_expected_to_go:
        return True
    speaks = machine.agent is not None and machine.agent.lives(now)
    was_missed = machine.missed_at is not None and now - machine.missed_at >= MISSED_FOR
    return was_missed and not speaks


def judge(machine: Known, cloud_state: str, limits: Limits, now: datetime) -> Verdict | None:
    """Say what becomes of a machine that is in the list; None when nothing does."""
    if machine.end_sent_at is not None:
        return None
    if cloud_state == "stopping":
        return _judge_stopping(machine)
    if machine.agent is None:
        return _judge_unjoined(machine, limits, now)
    return _judge_joined(machine, machine.agent, limits, now)


def _judge_stopping(machine: Known) -> Verdict | None:
    """Judge a machine that ends by itself, or is taken back."""
    if machine.state is MachineState.LAUNCHING and machine.agent is None:
        return Verdict(MachineState.FAILED, "It ended by itself before its agent joined.")
    if machine.state in (MachineState.FAILED, MachineState.LOST):
        return None
    why = "The cloud took it back." if machine.reclaim_at else "It powered itself off."
    return Verdict(MachineState.LOST, why)


def _judge_unjoined(machine: Known, limits: Limits, now: datetime) -> Verdict | None:
    if machine.state is not MachineState.LAUNCHING:
        return None
    waited = now - max(machine.launched_at, limits.steady_since)
    if waited <= timedelta(seconds=limits.boot_grace_s):
        return None
    return Verdict(
        MachineState.FAILED,
        f"Its agent did not join within {_span(limits.boot_grace_s)} of its launch.",
    )


def _judge_joined(machine: Known, agent: Agent, limits: Limits, now: datetime) -> Verdict | None:
    if agent.lives(now):
        if machine.state in (MachineState.LAUNCHING, MachineState.FAILED, MachineState.LOST):
            return Verdict(MachineState.READY, "Its agent joined.")
        return None
    if machine.state is MachineState.LOST:
        return None
    silent = now - max(agent.last_seen_at, limits.steady_since)
    if silent <= timedelta(seconds=limits.lease_s) + LEASE_MARGIN:
        return None
    if agent.has_left:
        return Verdict(MachineState.LOST, "Its agent left, and the machine went on running.")
    return Verdict(
        MachineState.LOST, f"Its agent was silent for longer than {_span(limits.lease_s)}."
    )


def may_end_orphan(orphan: Known, now: datetime) -> bool:
    """Say whether an orphan was watched for long enough; `found_at` as `watched_since` has it."""
    return orphan.end_sent_at is None and now - orphan.found_at >= ORPHAN_CONFIRM


def watched_since(orphan: Known, now: datetime) -> datetime:
    """Say since when an orphan was seen in every list; after a gap from now on."""
    return orphan.found_at if timedelta(0) <= now - orphan.seen_at <= GAP else now


def should_send_end_again(machine: Known, now: datetime) -> bool:
    """Say whether to repeat a termination that the cloud has not confirmed (SC-9).

    The pause doubles with each try: 1, 2, 4, 8 and then 15 minutes.
    """
    if machine.end_sent_at is None:
        return False
    pause_s = min(
        RESEND_MOST_S, RESEND_LEAST_S * 2 ** min(DOUBLINGS, max(0, machine.end_tries - 1))
    )
    return not timedelta(0) <= now - machine.end_sent_at < timedelta(seconds=pause_s)


def pause_s(failures: int, die: float) -> float:
    """Say how long to leave a place alone that failed so often in a row; `die` is in [0, 1].

    The first failure is tried again at the next read. The pause doubles to five minutes, less up
    to a half by the die, so that many processes do not come back together.
    """
    if failures <= 1:
        return 0.0
    return min(PAUSE_MOST_S, READ_S * 2 ** min(DOUBLINGS, failures - 1)) * (0.5 + die / 2)


def is_price_old(read_at: datetime | None, now: datetime) -> bool:
    """Say whether to ask for a spot price again; a clock that went back asks."""
    return read_at is None or not timedelta(0) <= now - read_at < PRICE_EVERY


def is_counted(since: datetime, now: datetime) -> bool:
    """Say whether money was counted within the last minute; a clock that went back waits."""
    return now - since < SPEND_EVERY


def may_still_come(failed_at: datetime, launched_at: datetime | None, now: datetime) -> bool:
    """Say whether to wait before a refusal counts: another zone gave a machine at that time.

    A cloud's group goes on to its next zone by itself, at once.
    """
    if launched_at is None or launched_at < failed_at - SAME_WAVE:
        return False
    return timedelta(0) <= now - failed_at < ZONES_TAKE


def spent_usd(machines: int, price_per_hour: float, since: datetime | None, now: datetime) -> float:
    """Count what so many machines cost since then; at most an hour, as a clock may jump.

    Worked example: 12 machines of 0.50 an hour for one minute are 12 x 0.50 / 60 = 0.10.
    """
    if since is None or now <= since:
        return 0.0
    hours = min(now - since, timedelta(hours=1)) / timedelta(hours=1)
    return machines * price_per_hour * hours


def last_part(text: str, limit: int) -> str:
    """Cut a console to its last `limit` characters, at a line's beginning where there is one."""
    if len(text) <= limit:
        return text
    tail = text[-limit:]
    _, found, rest = tail.partition("\n")
    return rest if found and rest else tail


def doubt(listed: int, known: int) -> str:
    """Say why a list is not believed."""
    return (
        f"The cloud lists {listed} of {known} machines: nothing is ended or drained until it was "
        "read again and their agents are silent too."
    )


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes > 1 else f"{round(seconds)} seconds"
