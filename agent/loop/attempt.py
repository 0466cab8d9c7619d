"""One attempt from claim to clean: the steps of agent.phases.steps, done one after the other."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import urllib3

from agent import wire
from agent.cache import Cache
from agent.client import AttemptClient, ControlClient, LogGap, Rejected
from agent.logs.lines import Masker
from agent.logs.points import PointReporter
from agent.logs.sender import Sender
from agent.logs.spool import Spool
from agent.loop import preparing
from agent.loop import state as states
from agent.loop.control import AttemptControl
from agent.loop.lease import Lease
from agent.loop.relay import Relay
from agent.loop.reports import PhaseReporter, now_text
from agent.loop.watch import Watch
from agent.phases.endings import CUTS, DISK_FULL, Ending, with_lost_outputs
from agent.phases.failures import Fenced, Interrupted, PhaseFailed
from agent.phases.layout import is_switched_on
from agent.phases.steps import PHASE_OF, next_step
from agent.runtimes.base import Runtime
from agent.transfer.outputs import OutputTransfer

THREAD_LIMIT_S = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What all attempts of an agent share."""

    url: str
    runtime: Runtime
    cache: Cache
    archives: Path
    pool: urllib3.PoolManager


class Attempt:
    """Runs in the thread of its slot; `order` is called from others."""

    def __init__(self, tools: Tools, spec: wire.ExecutionSpec, state: states.AttemptState) -> None:
        self.spec = spec
        self.state = state
        self.folder = state.folder
        self.lease = Lease(spec.lease_s)
        self.tools = tools
        self.layout = tools.runtime.layout(self.folder)
        client = ControlClient(tools.url, f"Claim {spec.claim_token}", tools.pool)
        self.absolute = client.absolute
        self.control = AttemptControl(AttemptClient(client, spec.attempt_id), self.order)
        self.spool = Spool(self.folder, first=spec.log_next, masker=Masker(spec.secrets))
        self.sender = self._new_sender()
        self.points = PointReporter(self.spool, self.control.send_points, self.thread_failed)
        self.phases = PhaseReporter(self.control.report_phases, self.thread_failed)
        self.relay: Relay | None = None
        self.is_hard = False
        self.kill_by: float | None = None  # monotonic; instead of the grace
        self.woken = threading.Event()
        self._lock = threading.Lock()

    def _new_sender(self) -> Sender:
        return Sender(self.spool, self.control.send_log, lambda _: None, self.thread_failed)

    @property
    def beat(self) -> wire.AttemptBeat:
        """What a heartbeat says of this attempt."""
        return wire.AttemptBeat(self.spec.attempt_id, self.spec.claim_token)

    def order(self, action: str, reason: str) -> None:
        """Hear what the control service wants; the same order again changes nothing."""
        if action == "fenced":
            self.control.fenced.set()
        elif action in ("stop", "stop_now"):
            self.is_hard = self.is_hard or action == "stop_now"
            self.cut("stop", reason or "Stop requested.")
        self.woken.set()

    def cut(self, cut: str, sentence: str) -> None:
        """End the attempt for a reason of CUTS; the first reason holds."""
        with self._lock:
            if self.state.cut is not None or self.state.ending is not None:
                return
            self.state.cut, self.state.cut_sentence = cut, sentence
            with contextlib.suppress(OSError):  # it holds without the file; the disk may be full
                self.state.save()
        self.woken.set()

    def reclaim(self, sentence: str, kill_by: float) -> None:
        """End because the cloud takes the machine: outputs must be stored when it goes."""
        self.kill_by = kill_by
        self.cut("reclaimed", sentence)

    def thread_failed(self, error: Exception) -> None:
        """Hear that one of the attempt's threads has ended before its time."""
        if isinstance(error, Fenced):
            self.control.fenced.set()
        elif is_disk_full(error):
            self.cut("disk_full", f"{DISK_FULL}.")
        else:
            log.error("a thread of attempt %s failed", self.spec.attempt_id, exc_info=error)
            self.cut("agent_error", f"The agent failed: {type(error).__name__}.")
        self.woken.set()

    def check_fenced(self) -> None:
        """Raise Fenced when the attempt belongs to nobody any more."""
        if self.control.fenced.is_set():
            raise Fenced("fenced")

    def check(self) -> None:
        """Raise Interrupted or Fenced when preparing must end; called often."""
        self.check_fenced()
        if self.lease.is_ending:
            self.cut("lease", CUTS["lease"].sentence + ".")
        if self.state.cut is not None:
            raise Interrupted(self.state.cut)

    def run(self) -> None:
        """Do all steps that are left; answers when nothing of the attempt is left here."""
        for thread in (self.sender, self.points, self.phases):
            thread.start()
        steps: dict[str, Callable[[], None]] = {
            "code": lambda: preparing.bring_code(self),
            "inputs": lambda: preparing.bring_inputs(self),
            "config": lambda: preparing.write_config(self),
            "image": lambda: preparing.bring_image(self),
            "start": lambda: preparing.start_step(self),
            "watch": self._do_watch,
            "outputs": self._do_outputs,
            "log": self._do_log,
            "finish": self._do_finish,
            "clean": self._do_clean,
        }
        while (step := self._next_step()) is not None:
            self._do(step, steps[step])

    def _next_step(self) -> str | None:
        return next_step(
            self.state.done,
            is_ending=self.state.ending is not None,
            is_fenced=self.control.fenced.is_set(),
        )

    def _do(self, step: str, work: Callable[[], None]) -> None:
        phase = PHASE_OF.get(step)
        if phase:
            self.phases.tell(phase, "started")
        try:
            work()
        except Interrupted:
            cut = CUTS[self.state.cut or "stop"]
            sentence = self.state.cut_sentence or cut.sentence
            self.spool.say(sentence)
            self._fail(dataclasses.replace(cut, sentence=sentence))
        except PhaseFailed as failure:
            self.drop_ballast()
            self.spool.say(failure.sentence)
            self._fail(Ending("error", failure.reason, failure.sentence))
        except Fenced:
            self.control.fenced.set()
        except Exception as error:
            self.drop_ballast()
            # The top of an attempt: whatever it was, the next attempt must not suffer from it.
            log.exception("step %s of attempt %s failed", step, self.spec.attempt_id)
            self._fail(CUTS["disk_full" if is_disk_full(error) else "agent_error"])
            self._pass_over(step)
        else:
            self._pass_over(step)
            if phase:
                self.phases.tell(phase, "ended")

    def _pass_over(self, step: str) -> None:
        self.state.done.append(step)
        if step != "clean":
            self.state.save()

    def _fail(self, ending: Ending) -> None:
        if self.state.ending is None:
            self.state.ended_at = now_text()
            self.state.end(ending)

    def drop_ballast(self) -> None:
        """Free a little disk, so that the end of the attempt can still be written down."""
        (self.folder / "ballast").unlink(missing_ok=True)

    def say_once(self, mark: str, sentence: str) -> None:
        """Say something that a restarted agent must not say again."""
        if not self.spool.marks.get(mark):
            self.spool.marks[mark] = True
            self.spool.say(sentence)

    def drop_caches(self) -> None:
        """Forget inputs and images (VH_CLEAN)."""
        self.tools.cache.clear()
        self.tools.runtime.drop_images()

    def _do_watch(self) -> None:
        if self.relay is None:
            preparing.open_relay(self)
        Watch(self, self._new_outputs(self.check_fenced)).run()

    def _new_outputs(self, check: Callable[[], None]) -> OutputTransfer:
        return OutputTransfer(
            root=self.folder / "outputs",
            note=self.folder / "outputs.json",
            pool=self.tools.pool,
            absolute=self.absolute,
            offer=self.control.offer_outputs,
            confirm=self.control.confirm_output,
            on_progress=lambda done, total: self.phases.progress("outputs", done, total, "files"),
            check=check,
        )

    def _do_outputs(self) -> None:
        outputs = self._new_outputs(self.check_fenced)
        failures = outputs.upload_all()
        if failures:
            self.spool.say("\n".join(failures))
            ending = self.state.known_ending
            if ending is not None:
                self.state.end(with_lost_outputs(ending, failures[0]))
        count = len(outputs.stored)
        self.spool.say(f"{count} output{'' if count == 1 else 's'} stored")

    def _do_log(self) -> None:
        self.points.end()
        self.spool.close_for_writing()
        self.phases.end()
        self.sender.finished.wait()
        self.check_fenced()

    def _do_finish(self) -> None:
        ending = self.state.known_ending or CUTS["agent_error"]
        finish = wire.Finish(
            outcome=ending.outcome,
            reason=ending.reason,
            sentence=ending.sentence,
            log_last=self.spool.last_line,
            exit_code=self.state.exit_code,
            failing_item=self.state.failing_item,
            image_digest=self.state.image_digest,
            ended_at=self.state.ended_at or now_text(),
        )
        while True:
            try:
                self.control.finish(finish)
            except LogGap as gap:
                self._send_again(gap.expected)
            except Rejected:
                log.exception("the end of attempt %s was refused", self.spec.attempt_id)
                return
            else:
                return

    def _send_again(self, line: int) -> None:
        """Send the log's end once more: the control service has lost it."""
        self.sender = self._new_sender()
        self.sender.go_to(line)
        self.sender.start()
        self.sender.finished.wait()
        self.check_fenced()

    def _do_clean(self) -> None:
        self.points.abandon()
        self.spool.close_for_writing()
        if self.relay is not None:
            self.relay.stop()
        self.tools.runtime.remove(self.state.handle, self.folder, self.spec.attempt_id)
        if is_switched_on(self.spec, "VH_CLEAN"):
            self.drop_caches()
        for thread in (self.sender, self.points):
            thread.join(THREAD_LIMIT_S)
        self.spool.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def is_disk_full(error: Exception) -> bool:
    """Say whether a write failed for want of room."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
