"""Worker groups and their machines: state as word, icon and colour, with the sentence why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from control.domain.scaling.state import MachineState
from control.services.group_views import GroupView
from control.web import formats
from control.web.presenters.status import Badge

OFF = Badge("Switched off", "is-stopped", "square")
PAUSED = Badge("Paused", "is-stopping", "square")
UNREAD = Badge("Cloud not read", "is-lost", "broken")
BROKEN = Badge("Stopped after failures", "is-failed", "cross")
HELD_BACK = Badge("Held back", "is-waiting", "circle")
GROWING = Badge("Growing", "is-active", "moving", is_moving=True)
SHRINKING = Badge("Shrinking", "is-stopping", "ring")
WORKING = Badge("Working", "is-active", "moving", is_moving=True)
IDLE = Badge("Idle", "is-done", "tick")
EMPTY = Badge("Empty", "is-stopped", "square")

MACHINE_BADGES = {
    MachineState.LAUNCHING: Badge("Starting", "is-active", "moving", is_moving=True),
    MachineState.READY: Badge("Ready", "is-done", "tick"),
    MachineState.DRAINING: Badge("Draining", "is-stopping", "ring"),
    MachineState.TERMINATING: Badge("Ending", "is-stopping", "ring"),
    MachineState.GONE: Badge("Gone", "is-stopped", "square"),
    MachineState.FAILED: Badge("Never joined", "is-failed", "cross"),
    MachineState.LOST: Badge("Lost", "is-lost", "broken"),
}
MARKETS = {"spot": "spot", "on-demand": "on demand"}


@dataclass(frozen=True, slots=True)
class GroupCard:
    """A worker group as a row."""

    id: str
    name: str
    url: str
    badge: Badge
    sentence: str
    market: str
    instance_type: str
    place: str  # cloud and region
    rank: int
    bounds: str
    slots: int
    price: float
    budget: str
    wanted: int
    live: int
    starting: int
    busy: int


def card(view: GroupView, now: datetime) -> GroupCard:
    """Present a group."""
    row = view.row
    badge, sentence = state(view, now)
    return GroupCard(
        id=row.id,
        name=row.name,
        url=group_url(row.name),
        badge=badge,
        sentence=sentence,
        market=MARKETS.get(row.market) or row.market,
        instance_type=row.instance_type,
        place=f"{row.cloud} {row.region}",
        rank=row.rank,
        bounds=f"{row.min} to {row.max}",
        slots=row.slots,
        price=row.price_per_hour_usd,
        budget=_budget(row),
        wanted=row.wanted,
        live=view.live,
        starting=view.counts.get(MachineState.LAUNCHING, 0),
        busy=view.busy,
    )


def group_url(name: str) -> str:
    """The address of a group's page."""
    return f"/worker-groups/{name}/"


def state(view: GroupView, now: datetime) -> tuple[Badge, str]:
    """Say how a group is: what keeps it from following the queue first, then what it does."""
    return _held(view, now) or _doing(view)


def _held(view: GroupView, now: datetime) -> tuple[Badge, str] | None:
    row, memory = view.row, view.row.memory or {}
    if not row.is_enabled:
        return OFF, "An administrator switched it off: nothing is launched here."
    if row.paused_by:
        return PAUSED, f"{row.paused_by} holds the stack: nothing is launched or ended until then."
    if row.cloud_error:
        return UNREAD, _ended(row.cloud_error)
    if memory.get("breaker_reason") and memory.get("breaker_version") == row.config_version:
        return BROKEN, f"{_ended(memory['breaker_reason'])} It waits for a change of its config."
    until = moment(memory, "backoff_until")
    if until is not None and until > now:
        why = memory.get("backoff_message") or memory.get("backoff_class") or "the cloud refused"
        return HELD_BACK, f"Nothing is launched until {clock(until)}: {why}"
    if row.hold:
        return HELD_BACK, _ended(row.hold)
    if row.cloud_error:
        return HELD_BACK, f"The cloud cannot be read: {_ended(row.cloud_error)}"
    until = moment(memory, "avoid_until")
    if until is not None and until > now:
        return (
            HELD_BACK,
            f"The cloud took machines back: other groups go first until {clock(until)}.",
        )
    return None


def _doing(view: GroupView) -> tuple[Badge, str]:
    row, counts = view.row, view.counts
    reason = view.decision.reason if view.decision is not None else ""
    draining = counts.get(MachineState.DRAINING, 0)
    if counts.get(MachineState.LAUNCHING, 0) or row.wanted > view.live:
        return GROWING, reason
    if draining or row.wanted < view.live:
        return SHRINKING, reason
    if view.busy:
        return WORKING, reason
    if view.live:
        return IDLE, reason
    return EMPTY, reason or "Nothing waits for it yet."


def _budget(row: Any) -> str:
    words: list[str] = []
    if row.hourly_budget_usd is not None:
        words.append(f"${row.hourly_budget_usd:g} an hour")
    if row.monthly_budget_usd is not None:
        spent = float((row.memory or {}).get("spent_this_month") or 0)
        words.append(f"${spent:,.2f} of ${row.monthly_budget_usd:,.2f} this month")
    return ", ".join(words)


def moment(memory: Mapping[str, Any], name: str) -> datetime | None:
    """Read a time of the planner's memory, which is kept as JSON."""
    text = memory.get(name)
    return datetime.fromisoformat(text) if text else None


def clock(time: datetime) -> str:
    """Write the time of day; UTC, as every exact time here."""
    return f"{time:%H:%M} UTC"


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


# -- machines -------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class MachineRow:
    """A machine of a cloud as a row."""

    id: str
    instance_id: str
    badge: Badge
    sentence: str
    group: str
    kind: str  # type, market, zone
    worker: str
    held: int  # executions its worker has
    launched_at: datetime
    console: str  # the end of it; "" when there is none or it is not for the caller
    console_url: str


def machine_row(row: Any, boot_grace_s: float, console: str, now: datetime) -> MachineRow:
    """Present a machine; `console` is what its reader may see of it."""
    kind = (row.instance_type, MARKETS.get(row.market) or row.market, row.zone)
    return MachineRow(
        id=row.id,
        instance_id=row.instance_id,
        badge=_machine_badge(row),
        sentence=_machine_sentence(row, boot_grace_s, now),
        group=row.group or "",
        kind=", ".join(word for word in kind if word),
        worker=row.worker or "",
        held=row.held,
        launched_at=row.launched_at,
        console=tail_of(console),
        console_url=f"/machines/{row.id}/console/",
    )


def _machine_badge(row: Any) -> Badge:
    if row.group_id is None:
        return Badge("Orphan", "is-lost", "broken")
    if row.gone_at is not None and row.joined_at is None:
        return MACHINE_BADGES[MachineState.FAILED]
    return MACHINE_BADGES[MachineState(row.state)]


def _machine_sentence(row: Any, boot_grace_s: float, now: datetime) -> str:
    words: list[str] = []
    if row.group_id is None:
        words.append("No group of ours owns it; it is ended unless that changes.")
    if row.state == MachineState.LAUNCHING:
        left = (row.launched_at + timedelta(seconds=boot_grace_s) - now).total_seconds()
        words.append(
            f"Given {formats.duration(left)} more to join."
            if left > 0
            else "It should have joined by now."
        )
    if row.reclaim_at is not None and row.gone_at is None:
        words.append(f"The cloud takes it back at {clock(row.reclaim_at)}.")
    if row.reason:
        words.append(_ended(row.reason))
    if row.end_error and row.gone_at is None:
        words.append(_ended(row.end_error))
    if row.gone_at is not None:
        words.append(f"Gone since {clock(row.gone_at)}.")
    return " ".join(words)


TAIL_LINES = 24
TAIL_SIGNS = 3000


def tail_of(console: str) -> str:
    """Cut the end off a console, which has the error, at a whole line."""
    lines = console[-TAIL_SIGNS:].splitlines()
    return "\n".join(lines[-TAIL_LINES:])


def totals(views: Sequence[GroupView]) -> dict[str, int]:
    """Add up what the groups of an environment want and have."""
    return {
        "wanted": sum(one.row.wanted for one in views),
        "live": sum(one.live for one in views),
        "starting": sum(one.counts.get(MachineState.LAUNCHING, 0) for one in views),
        "busy": sum(one.busy for one in views),
    }


def sentence(is_enabled: bool, values: Mapping[str, int], views: Sequence[GroupView]) -> str:
    """Say how an environment with groups is: what waits, what comes, what is in the way."""
    waiting, starting = values["queued"], values["starting"]
    if not is_enabled:
        return "Switched off: what is sent here is held until an operator switches it on."
    up = values["live"] - starting
    busy = f"{values['busy']} of {formats.plural(up, 'machine')} busy"
    if not waiting:
        if not values["live"]:
            return "Nothing waits and no machine runs: one starts with the first execution."
        coming = f", {formats.whole(starting)} starting" if starting else ""
        return f"Nothing waits; {busy}{coming}."
    words = [f"{formats.plural(waiting, 'execution')} waiting"]
    words.append(f"{formats.plural(starting, 'machine')} starting" if starting else "")
    words.append(busy if up else "")
    if not values["live"]:
        words.append("no machine runs yet")
    return "; ".join(word for word in words if word) + "."
