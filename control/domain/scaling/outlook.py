"""What a waiting execution may expect from its worker groups, in words (EX-5)."""

from __future__ import annotations

from control.domain.scaling.reasons import several


def expected_rate(busy_slots: int, starting_slots: int, mean_duration_s: float | None) -> float:
    """Answer the executions a minute that end, so that others start; 0 when it is not known.

    `mean_duration_s` is of recent executions of the environment. Slots that are starting count:
    they are what the reader waits for.

    Worked example: 4 busy and 46 starting slots, two minutes each: 50 / 2 = 25 a minute.
    """
    if not mean_duration_s or mean_duration_s <= 0:
        return 0.0
    return (busy_slots + starting_slots) * 60 / mean_duration_s


def outlook(*, starting: int, waiting: int, per_minute: float, reason: str = "") -> str:
    """Say what comes next, without a final stop: `2 machines starting, 198 waiting: 25 a minute…`.

    `starting` counts machines that boot or were asked for; `reason` is the group's own sentence
    when nothing can start (`GroupPlan.reason`), and is told after the counts.
    """
    words = f"{several(starting, 'machine')} starting, " if starting else ""
    words += f"{waiting} waiting"
    if per_minute >= 1:
        words += f": {per_minute:.0f} a minute expected"
    elif per_minute > 0:
        words += f": one every {1 / per_minute:.0f} minutes expected"
    if reason and not starting:
        words += f"; {reason.rstrip('.')}"
    return words
