"""The names and numbers that every queue plug-in and its async twin share."""

from __future__ import annotations

from control.domain.ports import QueueEntry

MAX_PRIORITY = 400
LONGEST_WAIT_S = 60.0  # one blocking call; longer waits are several
TAIL_BYTES = 8 << 20  # of one live tail: some seconds of the loudest log; the store has the rest
_PRIORITY_STEP = 10**13  # milliseconds; the clock passes it in the year 2286


def score(entry: QueueEntry) -> int:
    """Order entries: higher priority first, then older; the id decides a tie.

    Priorities are clamped to +-400: -400 * 1e13 + 1.9e12 is still exact in a double (2**53 = 9e15),
    which is what a sorted set holds.
    """
    priority = max(-MAX_PRIORITY, min(MAX_PRIORITY, entry.priority))
    return -priority * _PRIORITY_STEP + int(entry.queued_at.timestamp() * 1000)


def queue_key(queue: str) -> str:
    """Name the sorted set of an environment's queue."""
    return f"queue:{queue}"


def tail_key(execution_id: str) -> str:
    """Name the stream of an execution's live tail."""
    return f"log:{execution_id}"


def channel(topic: str) -> str:
    """Name the channel of a topic."""
    return f"talkoot:{topic}"


def execution_topic(execution_id: str) -> str:
    """Name the topic that an execution's readers listen to."""
    return f"execution:{execution_id}"


def tail_message(last_line: int) -> str:
    """Word the wake-up that says how far the live tail reaches."""
    return f"log:{last_line}"
