"""Which machines get no new work, so that the others fill up and these can leave: packing in time.

Agents ask for work, and who asks first is chance: executions would spread over all machines, and
none would ever be idle. A held machine is asked again before anything is launched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from control.domain.scaling import drains
from control.domain.scaling.draft import Draft
from control.domain.scaling.state import Machine


def choose(drafts: Sequence[Draft], now: datetime) -> dict[str, tuple[str, ...]]:
    """Answer the ids of the machines to hold, by group; groups of the same environments share.

    The dearest machines first, then the emptiest, as long as the others keep as many slots free as
    one whole machine has. None while something waits that only held machines have room for.
    """
    held: dict[str, tuple[str, ...]] = {}
    for there in _together(drafts):
        if any(one.placed.get("held") for one in there):
            continue
        able = [one for one in there if drains.may_drain(one.group, now)]
        free = sum(one.bins[kind].free for one in there for kind in ("ready", "held"))
        headroom = max(one.slots for one in there)
        for one, machine in _in_order(able):
            free -= _free(machine)
            if free < headroom:
                break
            name = one.group.policy.name
            held[name] = (*held.get(name, ()), machine.id)
    return held


def _together(drafts: Iterable[Draft]) -> list[list[Draft]]:
    found: dict[tuple[str, ...], list[Draft]] = {}
    for one in drafts:
        found.setdefault(one.group.policy.environments, []).append(one)
    return list(found.values())


def _in_order(drafts: Iterable[Draft]) -> list[tuple[Draft, Machine]]:
    there = [(one, machine) for one in drafts for machine in one.usable if _free(machine)]

    def order(pair: tuple[Draft, Machine]) -> tuple[float, int, bool, str]:
        one, machine = pair
        return (-one.group.policy.price, machine.busy_slots, not machine.is_held, machine.id)

    return sorted(there, key=order)


def _free(machine: Machine) -> int:
    return machine.slots - machine.busy_slots
