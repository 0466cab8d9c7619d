"""When a machine of a cloud must power itself off: the dead man's switch of SC-7, without a clock.

The control service grants a *keep-alive* with every answer to a heartbeat. A machine that runs
nothing goes when the grant has passed, or when nobody answered for the orphan time-out.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contact:
    """What was heard last; times on a clock that never jumps, in seconds."""

    heard_at: float
    keep_alive_s: float | None = None


def reason_to_end(
    contact: Contact, now: float, *, orphan_timeout_s: float, is_busy: bool
) -> str | None:
    """Say why the machine must end now, or None while it may live."""
    if is_busy:
        return None
    silent_s = now - contact.heard_at
    if silent_s >= orphan_timeout_s:
        return f"The control service was not heard of for {orphan_timeout_s:g} s."
    if contact.keep_alive_s is not None and silent_s >= contact.keep_alive_s:
        return f"The keep-alive of {contact.keep_alive_s:g} s has passed."
    return None
