"""The time while a step runs: its output, its limits, the orders about it, its live uploads."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from shutil import disk_usage
from typing import TYPE_CHECKING

from agent.logs.collector import Collector
from agent.loop.reports import now_text
from agent.phases.endings import CUTS, Exit, ending_of_exit
from agent.phases.failures import Fenced
from agent.transfer.outputs import Found, OutputTransfer

if TYPE_CHECKING:
    from agent.loop.attempt import Attempt

TICK_S = 0.1
SCAN_S = 0.5
SCAN_SHARE = 20
URGENT = ("lease", "agent_stopped", "disk_full")
FULL_BYTES = 4 * 1024 * 1024
"""With less than this left on the disk, a failure is put down to the disk."""

REPEAT_KILL_S = 5.0
"""A container engine that was busy is asked again to kill."""

log = logging.getLogger(__name__)


class LiveUploads(threading.Thread):
    """Uploads files that became read-only, while the step runs."""

    def __init__(self, outputs: OutputTransfer, attempt: Attempt) -> None:
        super().__init__(name="live uploads", daemon=True)
        self._outputs = outputs
        self._attempt = attempt
        self._is_over = threading.Event()
        self.uploaded_at = time.monotonic()

    def run(self) -> None:
        scan: dict[str, Found] = {}
        took_s = 0.0
        # A folder of many thousand files must not keep the machine busy.
        while not self._is_over.wait(max(SCAN_S, took_s * SCAN_SHARE)):
            began = time.monotonic()
            stored = len(self._outputs.stored)
            try:
                scan = self._outputs.upload_finished(scan)
            except Fenced as error:
                self._attempt.thread_failed(error)
                return
            except Exception:
                # The file stays and is tried again, at the latest when the step has ended.
                log.exception("a live upload failed")
            for row in self._outputs.stored[stored:]:
                self._attempt.spool.say(f"Output {row['name']} stored")
                self.uploaded_at = time.monotonic()
            took_s = time.monotonic() - began

    def end(self) -> None:
        """End after the upload that is under way."""
        self._is_over.set()
        self.join()


class Watch:
    """Blocks until the step has ended and its whole output is in the spool."""

    def __init__(self, attempt: Attempt, outputs: OutputTransfer) -> None:
        self._attempt = attempt
        self._runtime = attempt.tools.runtime
        self._handle = attempt.state.handle or ""
        self._folder = attempt.folder
        source = self._runtime.output(self._handle, self._folder)
        self._collector = Collector(attempt.spool, source, attempt.thread_failed)
        self._live = LiveUploads(outputs, attempt)
        self._asked_at: float | None = None  # when the step was asked to end
        self._killed_at: float | None = None
        self._said: set[str] = set()

    def run(self) -> None:
        self._collector.start()
        self._live.start()
        try:
            seen = self._wait()
            self._collector.ended.wait()
        except Fenced:
            self._runtime.kill(self._handle, self._folder)
            self._collector.abandon()
            self._collector.ended.wait()
            raise
        finally:
            self._live.end()
        self._decide(seen)

    def _wait(self) -> Exit:
        while True:
            seen = self._runtime.wait(self._handle, self._folder, TICK_S)
            if seen is not None:
                return seen
            self._attempt.check_fenced()
            self._watch_limits()
            if self._attempt.state.cut is not None:
                self._bring_to_an_end()

    def _watch_limits(self) -> None:
        attempt, spec = self._attempt, self._attempt.spec
        if attempt.lease.is_ending:
            attempt.cut("lease", CUTS["lease"].sentence + ".")
        ran_s = time.time() - (attempt.state.started_at or time.time())
        if spec.time_limit_s is not None and ran_s > spec.time_limit_s:
            attempt.cut("time_limit", f"The time limit of {spec.time_limit_s:g} s was reached.")
        quiet_s = time.monotonic() - max(self._collector.output_at, self._live.uploaded_at)
        if spec.no_output_timeout_s is not None and quiet_s > spec.no_output_timeout_s:
            attempt.cut(
                "no_output_timeout",
                f"Nothing was printed for {spec.no_output_timeout_s:g} s.",
            )

    def _bring_to_an_end(self) -> None:
        """SIGTERM, then after the grace SIGKILL; at once when the lease ends or people insist.

        A reclaim begins with SIGINT (platform-behaviour.md 8.4).
        """
        now = time.monotonic()
        attempt = self._attempt
        if self._asked_at is None:
            self._asked_at = now
            if attempt.state.cut != "disk_full":
                attempt.spool.say(attempt.state.cut_sentence)
                self._said.add(attempt.state.cut_sentence)
            is_reclaim = attempt.state.cut == "reclaimed"
            ask = self._runtime.interrupt if is_reclaim else self._runtime.terminate
            ask(self._handle, self._folder)
        is_over = now >= (attempt.kill_by or self._asked_at + attempt.spec.stop_grace_s)
        is_urgent = attempt.is_hard or attempt.state.cut in URGENT
        was_killed = self._killed_at is not None and now - self._killed_at < REPEAT_KILL_S
        if (is_over or is_urgent) and not was_killed:
            self._killed_at = now
            self._runtime.kill(self._handle, self._folder)

    def _decide(self, seen: Exit) -> None:
        attempt, state = self._attempt, self._attempt.state
        if seen.code:
            is_full = seen.is_disk_full or disk_usage(self._folder).free < FULL_BYTES
            seen = dataclasses.replace(
                seen, failing_item=self._failing_item(), is_disk_full=is_full
            )
        attempt.drop_ballast()
        ending = ending_of_exit(seen, command_count=len(attempt.spec.commands), cut=state.cut)
        state.exit_code, state.failing_item = seen.code, seen.failing_item
        state.ended_at = now_text()
        if state.cut not in (None, "stop"):
            # Its sentence names the limit.
            ending = dataclasses.replace(ending, sentence=state.cut_sentence)
        state.end(ending)
        if ending.sentence not in self._said:
            attempt.spool.say(ending.sentence)

    def _failing_item(self) -> int | None:
        try:
            return int((self._folder / "control" / "item").read_text())
        except (OSError, ValueError):
            return None
