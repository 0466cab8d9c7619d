"""Whether slots claim: they stand still while there is any reason to."""

from __future__ import annotations

import threading


class Pause:
    """Reasons not to claim, and how many slots stand still for them; safe between threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._reasons: set[str] = set()
        self._parked = 0

    def set(self, reason: str, is_on: bool) -> None:
        """Add a reason, or take it back."""
        with self._changed:
            if is_on == (reason in self._reasons):
                return
            if is_on:
                self._reasons.add(reason)
            else:
                self._reasons.discard(reason)
            self._changed.notify_all()

    @property
    def is_on(self) -> bool:
        """Say whether a slot must not claim now."""
        with self._changed:
            return bool(self._reasons)

    @property
    def parked(self) -> int:
        """How many slots stand still."""
        with self._changed:
            return self._parked

    def park(self, timeout_s: float) -> None:
        """Stand still until there is no reason left, or for `timeout_s`."""
        with self._changed:
            self._parked += 1
            try:
                self._changed.wait_for(lambda: not self._reasons, timeout_s)
            finally:
                self._parked -= 1
