"""How an attempt ended, from what was seen of its container and of its outputs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of the script. `code` is None when nobody saw it (`detail` says why)."""

    code: int | None
    is_oom: bool = False
    is_disk_full: bool = False
    failing_item: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """Outcome and reason as in wire.Finish, and the sentence for the log."""

    outcome: str
    reason: str
    sentence: str


STOPPED = Ending("stopped", "stopped_by_user", "Stopped on request")

DISK_FULL = "The worker's disk is full: write less, or take a worker with a larger disk"

CUTS = {
    "stop": STOPPED,
    "time_limit": Ending("error", "time_limit", "The time limit was reached"),
    "no_output_timeout": Ending(
        "crashed", "no_output_timeout", "The step printed nothing for too long"
    ),
    "lease": Ending(
        "crashed", "worker_lost", "The worker could not reach the control service in time"
    ),
    "agent_stopped": Ending("crashed", "agent_stopped", "The agent was stopped by its operator"),
    "agent_error": Ending("crashed", "agent_error", "The agent failed"),
    "reclaimed": Ending("crashed", "machine_reclaimed", "The cloud took the machine back"),
    "disk_full": Ending("error", "disk_full", DISK_FULL),
}
"""Why the agent itself ended a container."""


def ending_of_exit(seen: Exit, *, command_count: int, cut: str | None) -> Ending:
    """Decide how a script that was started has ended; `cut` is a key of CUTS or None."""
    if cut is not None:
        return CUTS[cut]
    if seen.code is None:
        return Ending("crashed", "agent_restarted", seen.detail or "The container was lost")
    if seen.is_disk_full:
        return CUTS["disk_full"]
    if seen.is_oom:
        return Ending("error", "oom", "The step used more memory than there is and was killed")
    if seen.code == 0:
        return Ending("complete", "exited", "The command ended with exit status 0")
    return Ending("error", "exit_nonzero", _failed(seen, command_count))


def _failed(seen: Exit, command_count: int) -> str:
    end = f"failed with exit status {seen.code}"
    if seen.code is not None and seen.code > 128:
        end += f" (signal {seen.code - 128})"
    if seen.failing_item is None or command_count < 2:
        return f"The command {end}"
    return f"Command {seen.failing_item} of {command_count} {end}"


def with_lost_outputs(ending: Ending, sentence: str) -> Ending:
    """Turn a complete attempt whose outputs could not be stored into an error; others stay."""
    if ending.outcome != "complete":
        return ending
    return Ending("error", "output_upload_failed", sentence)
