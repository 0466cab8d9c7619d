"""Which step of an attempt comes next. Every step is idempotent: after a crash it runs again.

    code → inputs → config → image → start → watch → outputs → log → finish → clean
      └──────── a failure or a stop before `start` ──────────┘

An attempt that ends before its container ran has no outputs, but always a log and a finish.
Source: platform-behaviour.md section 9.
"""

from __future__ import annotations

from collections.abc import Collection

PREPARING = ("code", "inputs", "config", "image", "start")
RUNNING = ("watch", "outputs")
ENDING = ("log", "finish", "clean")

PHASE_OF = {"code": "code", "inputs": "inputs", "image": "image", "watch": "run"} | {
    "outputs": "outputs"
}
"""The step to the phase reported for it; the other steps are too short to show."""


def next_step(done: Collection[str], *, is_ending: bool, is_fenced: bool) -> str | None:
    """Name the next step, or None when all is done.

    `is_ending`: the attempt's end is decided, by failure or by request.
    """
    if is_fenced:
        return None if "clean" in done else "clean"
    was_started = "start" in done
    is_short = is_ending and not was_started
    order = ENDING if is_short else (*PREPARING, *RUNNING, *ENDING)
    return next((step for step in order if step not in done), None)
