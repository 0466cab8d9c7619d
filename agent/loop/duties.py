"""What an agent on a machine of a cloud does beside executions: change itself, and end."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from agent import wire
from agent.phases.machine_end import Contact, reason_to_end
from agent.settings import VERSION, MachineSettings

UPDATE_LIMIT_S = 900.0
UPDATE_AGAIN_S = 600.0
RECLAIM_MARGIN_S = 30.0
"""Kept of the time before a reclaim, for outputs that a step leaves behind."""

log = logging.getLogger(__name__)


class Duties:
    """Decisions of the main thread, and the two commands that it was given."""

    def __init__(self, settings: MachineSettings, state: Path) -> None:
        self._settings = settings
        self._mark = state / "updated-to"
        self._next_update_at = 0.0

    def reason_to_end(self, contact: Contact, *, is_busy: bool) -> str | None:
        """Say why the machine must power itself off now; None where nobody told how."""
        if not self._settings.power_off_command:
            return None
        return reason_to_end(
            contact,
            time.monotonic(),
            orphan_timeout_s=self._settings.orphan_timeout_s,
            is_busy=is_busy,
        )

    def power_off(self, reason: str) -> None:
        """End the machine."""
        log.warning("powering off: %s", reason)
        _run(self._settings.power_off_command, 60.0)

    def wants_update(self, orders: wire.Orders) -> bool:
        """Say whether another release is wanted and it is time to try."""
        wanted = orders.wanted_version
        if not self._settings.update_command or wanted in ("", VERSION):
            return False
        if time.monotonic() < self._next_update_at:
            return False
        if self._last_update() == wanted:
            # It was put in place and says that it is another one: not again and again.
            log.error("release %s says that it is %s", wanted, VERSION)
            self._next_update_at = time.monotonic() + UPDATE_AGAIN_S
            return False
        return True

    def update(self, version: str) -> None:
        """Put the release in place and become it; comes back only when that did not work."""
        log.info("changing from release %s to %s", VERSION, version)
        if _run((*self._settings.update_command, version), UPDATE_LIMIT_S):
            self._mark.write_text(version)
            # The same command line, which goes through `current`: the new release from here on.
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
        self._next_update_at = time.monotonic() + UPDATE_AGAIN_S

    def _last_update(self) -> str:
        try:
            return self._mark.read_text()
        except FileNotFoundError:
            return ""


def _run(command: tuple[str, ...], limit_s: float) -> bool:
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, check=True, timeout=limit_s)
    except (OSError, subprocess.SubprocessError) as error:
        log.error("%s: %s", command[0], error)
        return False
    return True


def seconds_until(at: str, now: datetime) -> float:
    """Count from `now` to a time as clouds write it; 0 for one that has passed or is no time."""
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
