"""An execution's status as word, icon and colour together: never colour alone (web.md, rule 5)."""

from __future__ import annotations

from dataclasses import dataclass

from control.domain.states import PHASE_WORDS, Status


@dataclass(frozen=True, slots=True)
class Badge:
    """What the chip shows. `tone` names a class of components.css, `icon` a macro of icons.html."""

    word: str
    tone: str
    icon: str
    is_moving: bool = False


WAITING = Badge("Waiting", "is-waiting", "circle")
BADGES = {
    Status.CREATED: WAITING,
    Status.QUEUED: WAITING,
    Status.STOPPING: Badge("Stopping", "is-stopping", "ring"),
    Status.COMPLETE: Badge("Done", "is-done", "tick"),
    Status.ERROR: Badge("Failed", "is-failed", "cross"),
    Status.CRASHED: Badge("Lost", "is-lost", "broken"),
    Status.STOPPED: Badge("Stopped", "is-stopped", "square"),
}


def badge(status: str, phase: str) -> Badge:
    """Choose the badge; while an attempt works, the phase gives the word."""
    if status == Status.STARTED:
        word = PHASE_WORDS.get(phase, "Running")
        word = word if word in ("Preparing", "Running", "Saving") else "Running"
        return Badge(word, "is-active", "moving", is_moving=True)
    return BADGES[Status(status)]


FILTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "waiting": ("Waiting", (Status.CREATED, Status.QUEUED)),
    "running": ("Running", (Status.STARTED, Status.STOPPING)),
    "done": ("Done", (Status.COMPLETE,)),
    "failed": ("Failed", (Status.ERROR,)),
    "lost": ("Lost", (Status.CRASHED,)),
    "stopped": ("Stopped", (Status.STOPPED,)),
}
"""What the filter bar offers: value in the URL → word and statuses."""
