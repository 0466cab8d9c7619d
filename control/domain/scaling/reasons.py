"""The words of a decision: sentences for people, with the numbers that were decided on."""

from __future__ import annotations

from datetime import datetime

from control.domain.scaling.draft import Draft
from control.domain.scaling.gates import Gate


def several(count: int, noun: str) -> str:
    """Count in words: `1 machine`, `3 machines`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def clock(at: datetime) -> str:
    """Write a time of day, with its zone: `10:32 UTC`."""
    return f"{at:%H:%M} {at.tzname() or 'UTC'}"


def sentence(draft: Draft, launch: int, undrained: int, drained: int, blocked_by: str) -> str:
    """Say what was decided for a group and why."""
    parts = [
        _demand(draft, launch),
        _floor(draft, launch),
        f"{several(undrained, 'machine')} that {_were(undrained)} leaving {_be(undrained)} kept."
        if undrained
        else "",
        _limit(draft, launch, blocked_by),
        _drains(draft, drained),
    ]
    return " ".join(part for part in parts if part)


def _demand(draft: Draft, launch: int) -> str:
    placed = draft.placed
    waiting = sum(placed.get(kind, 0) for kind in ("coming", "leaving", "new"))
    if waiting:
        starting = draft.coming
        needed = draft.opened - draft.opened_for_floor + _used(draft, "coming")
        needed += draft.kept_from_leaving
        needs = f"{waiting} queued need{'s' if waiting == 1 else ''} "
        needs += f"{several(needed, 'machine')} of {several(draft.slots, 'slot')}"
        here = f"{starting} {_be(starting)} starting" if starting else ""
        more = f"{launch} {'more ' if here else ''}{_be(launch)} asked for" if launch else ""
        after = ", ".join(part for part in (here, more) if part)
        return f"{needs}; {after}." if after else f"{needs}."
    found = placed.get("ready", 0) + placed.get("held", 0)
    if found:
        return f"{found} queued fit{'s' if found == 1 else ''} on machines that are free."
    return "" if draft.short else "Nothing waits for this group."


def _used(draft: Draft, kind: str) -> int:
    return draft.coming - draft.bins[kind].untouched


def _floor(draft: Draft, launch: int) -> str:
    if not draft.opened_for_floor or not launch:
        return ""
    policy = draft.group.policy
    words = " and ".join(
        part
        for part in (
            f"a minimum of {policy.minimum}" if policy.minimum else "",
            f"{policy.spare} idle" if policy.spare else "",
        )
        if part
    )
    opened = draft.opened_for_floor
    return f"To keep {words}, {several(opened, 'machine')} {_be(opened)} wanted."


def _limit(draft: Draft, launch: int, blocked_by: str) -> str:
    if draft.gate is not None and draft.gate.kind == blocked_by:
        return _gate(draft.gate)
    short, policy = draft.short.get(blocked_by, 0), draft.group.policy
    if blocked_by == "maximum":
        return f"Wanted {short} more and the maximum of {policy.maximum} is reached."
    if blocked_by == "budget":
        return (
            f"Wanted {short} more and the budget of {draft.hourly:.2f} dollars an hour is reached."
        )
    if blocked_by == "burst":
        return f"{draft.opened - launch} more wait until the first ones have come up."
    if blocked_by == "avoided" and draft.group.memory.avoid_until is not None:
        until = clock(draft.group.memory.avoid_until)
        return f"The cloud took many machines back: other groups are tried first until {until}."
    return ""


def _gate(gate: Gate) -> str:
    said = f": {gate.detail.rstrip('.')}." if gate.detail else "."
    if gate.kind == "backoff" and gate.until is not None:
        said = said.replace(": ", ": the cloud said ", 1)
        return f"Launches are held back until {clock(gate.until)}{said}"
    if gate.kind == "breaker":
        return f"Launches have stopped until the group's configuration changes{said}"
    if gate.kind == "paused":
        return "A person holds the stack: nothing is launched or ended until it is given back."
    return "The cloud's list is not fresh: nothing is launched or ended until it is read again."


def _drains(draft: Draft, drained: int) -> str:
    if not drained:
        return ""
    stay = draft.ready - drained
    leave, remain = ("leaves" if drained == 1 else "leave"), ("stays" if stay == 1 else "stay")
    return f"{several(drained, 'machine')} without work {leave}; {stay} {remain}."


def _be(count: int) -> str:
    return "is" if count == 1 else "are"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
