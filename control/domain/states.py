"""The states of an execution, who may change them, and why one ended.

    created ──quota──► queued ──claim──► started ──exit 0, outputs stored──► complete
       │                 │  ▲              ├──exit ≠ 0, preparation failed──► error
       │                 │  └──retry───────┤
       │stop             │stop             ├──lost, no retry left──► crashed
       ▼                 ▼                 │stop
    stopped           stopped           stopping ──► stopped (or complete, error, crashed)

Source: platform-behaviour.md 10.2 (EX-1); the names are the clients' (client-contract.md 1.12).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """What clients see; finer detail is in phase and reason."""

    CREATED = "created"
    QUEUED = "queued"
    STARTED = "started"
    STOPPING = "stopping"
    COMPLETE = "complete"
    ERROR = "error"
    CRASHED = "crashed"
    STOPPED = "stopped"


INCOMPLETE = (Status.CREATED, Status.QUEUED, Status.STARTED, Status.STOPPING)
FINAL = (Status.COMPLETE, Status.ERROR, Status.CRASHED, Status.STOPPED)
HELD = (Status.STARTED, Status.STOPPING)
"""The states in which an attempt holds the execution."""

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.CREATED: frozenset({Status.QUEUED, Status.STOPPED, Status.ERROR}),
    Status.QUEUED: frozenset({Status.STARTED, Status.STOPPED, Status.ERROR}),
    Status.STARTED: frozenset(
        {Status.QUEUED, Status.STOPPING, *FINAL},
    ),
    Status.STOPPING: frozenset(FINAL),
    Status.COMPLETE: frozenset(),
    Status.ERROR: frozenset(),
    Status.CRASHED: frozenset(),
    Status.STOPPED: frozenset(),
}


def may_become(old: Status, new: Status) -> bool:
    """Say whether the table allows the change."""
    return new in TRANSITIONS[old]


def sources_of(new: Status) -> tuple[Status, ...]:
    """The states from which `new` can be reached: the guard of the UPDATE that writes it."""
    return tuple(old for old in Status if new in TRANSITIONS[old])


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an attempt ended: its status, whether another attempt may help, whose fault it was."""

    status: Status
    is_retryable: bool
    fault: str  # "user", "platform" or "nobody"
    sentence: str  # when the agent says nothing better


_C, _E, _X, _S = Status.COMPLETE, Status.ERROR, Status.CRASHED, Status.STOPPED
REASONS: dict[str, Reason] = {
    "exited": Reason(_C, False, "nobody", "The command ended with exit status 0."),
    "exit_nonzero": Reason(_E, False, "user", "The command failed."),
    "oom": Reason(_E, False, "user", "The step used more memory than it may."),
    "stopped_by_user": Reason(_S, False, "nobody", "Stopped on request."),
    "stopped_by_condition": Reason(_C, False, "nobody", "The stop condition became true."),
    "time_limit": Reason(_E, False, "user", "The time limit was reached."),
    "no_output_timeout": Reason(_X, False, "user", "The step printed nothing for too long."),
    "worker_lost": Reason(_X, True, "platform", "The worker stopped answering."),
    "agent_restarted": Reason(
        _X, True, "platform", "The agent was restarted and found no container."
    ),
    "agent_stopped": Reason(_X, True, "platform", "The agent was stopped by its operator."),
    "machine_reclaimed": Reason(_X, True, "platform", "The cloud took the machine back."),
    "agent_error": Reason(_X, True, "platform", "The agent failed."),
    "code_download_failed": Reason(_E, False, "platform", "The code could not be downloaded."),
    "input_download_failed": Reason(_E, False, "user", "An input could not be downloaded."),
    "image_pull_failed": Reason(_E, False, "user", "The image could not be had."),
    "container_create_failed": Reason(_E, False, "user", "The container could not be created."),
    "output_upload_failed": Reason(_E, False, "platform", "An output could not be stored."),
    "disk_full": Reason(
        _E,
        False,
        "platform",
        "The worker's disk is full: write less, or take a worker with a larger disk.",
    ),
    "environment_disabled": Reason(_E, False, "platform", "The environment was switched off."),
    "internal": Reason(_X, True, "platform", "Talkoot failed."),
}
"""Every `termination_reason`. Source: platform-behaviour.md 10.2."""

PHASE_WORDS = {
    "created": "Waiting",
    "queued": "Waiting",
    "code": "Preparing",
    "inputs": "Preparing",
    "image": "Preparing",
    "run": "Running",
    "outputs": "Saving",
    "done": "Done",
}
"""The word on the page for a phase (web.md, status table)."""
