"""The agent as a whole: join, take up what was left, claim, run, drain, leave.

Threads: one a slot (claims and runs attempts), one for heartbeats, and of each attempt four
(log collector, log sender, metadata, phases), live uploads and the relay. The main thread waits
for signals.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent import machine, wire
from agent.cache import Cache
from agent.client import Backoff, ControlClient, Rejected, Unreachable, make_pool
from agent.instance import AwsInstance
from agent.loop import state as states
from agent.loop.attempt import Attempt, Tools, is_disk_full
from agent.loop.duties import RECLAIM_MARGIN_S, Duties, seconds_until
from agent.loop.heartbeats import Heartbeats
from agent.loop.joining import Joining
from agent.loop.notices import Notices
from agent.loop.pause import Pause
from agent.phases.failures import Refused
from agent.phases.machine_end import Contact
from agent.runtimes.base import Runtime
from agent.settings import VERSION, Settings

CLAIM_WAIT_S = 20.0
STOP_LIMIT_S = 30.0
PARK_S = 1.0
RECLAIM_SENTENCE = "The cloud takes this machine back."

log = logging.getLogger(__name__)


class Agent:
    """One process on one machine."""

    def __init__(self, settings: Settings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        self._pool = make_pool(32, 16, settings.ca_file)
        self._attempts: dict[str, Attempt] = {}
        self._lock = threading.Lock()
        self._left_over: list[Attempt] = []
        self._draining = threading.Event()
        self._stopping = threading.Event()
        self._idle = threading.Condition(self._lock)
        self._is_leaving = False
        self._pause = Pause()
        self._duties = Duties(settings.machine, settings.state)
        self._instance = (
            AwsInstance(settings.machine.imds_url) if settings.machine.identity else None
        )
        self._reclaim_at = ""
        self._kill_by: float | None = None
        self._power_off_reason: str | None = None
        self._tools = Tools(
            url=settings.url,
            runtime=runtime,
            cache=Cache(
                settings.state / "cache" / "inputs",
                settings.cache_bytes,
                settings.keep_free_bytes,
            ),
            archives=settings.state / "cache" / "code",
            pool=self._pool,
        )

    def drain(self) -> None:
        """First signal: finish what runs, then leave. Second: stop it now."""
        if self._draining.is_set():
            self._stopping.set()
        self._draining.set()

    def run(self) -> None:
        """Work until drained. Raises Refused."""
        joining = Joining(self._settings, self._pool, self._instance, self._draining)
        identity = joining.join(self._runtime.name, self._facts())
        self._take_up()
        token = f"Agent {identity.agent_token}"
        client = ControlClient(self._settings.url, token, self._pool)
        alive = self._settings.state / "alive"
        beats = Heartbeats(client, self._running, self._facts, identity.heartbeat_s, alive)
        beats.start()
        if self._instance is not None:
            Notices(self._instance, self._hear_notice).start()
        for number in range(self._settings.slots):
            threading.Thread(
                target=self._slot, args=(token,), name=f"slot {number + 1}", daemon=True
            ).start()
        log.info("agent %s works for %s", identity.worker_id, identity.environment)
        self._wait_until_drained(beats)
        beats.end()
        self._leave(client)
        if self._power_off_reason is not None:
            self._duties.power_off(self._power_off_reason)
        if beats.refused.is_set():
            machine.forget_identity(self._settings.state)
            raise Refused("The control service does not know this agent any more.")

    def _facts(self) -> dict[str, Any]:
        return machine.facts(self._settings.state) | {
            "agent_version": VERSION,
            "runtime": self._runtime.name,
            "slots": self._settings.slots,
            **self._runtime.facts(),
        }

    def _take_up(self) -> None:
        """Find the attempts of an earlier life, and clear what belongs to none."""
        root = self._settings.state / "attempts"
        root.mkdir(parents=True, exist_ok=True)
        live: list[str] = []
        for folder in sorted(root.iterdir()):
            try:
                spec, state = states.read(folder)
                attempt = Attempt(self._tools, spec, state)
            except (OSError, ValueError, TypeError, KeyError):
                log.warning("clearing the remains of %s", folder.name)
                self._runtime.remove(None, folder, folder.name)
                shutil.rmtree(folder, ignore_errors=True)
                continue
            live.append(spec.attempt_id)
            self._attempts[spec.attempt_id] = attempt
            self._left_over.append(attempt)
            log.info("taking up attempt %s again", spec.attempt_id)
        for attempt_id in self._runtime.remove_leftovers(live):
            log.warning("removed a container of attempt %s", attempt_id)

    def _running(self) -> list[Attempt]:
        with self._lock:
            return list(self._attempts.values())

    def _slot(self, token: str) -> None:
        pool = make_pool(1, 1, self._settings.ca_file)
        client = ControlClient(self._settings.url, token, pool)
        backoff = Backoff(event=self._draining)
        while True:
            attempt = self._next_left_over()
            if attempt is None:
                if self._draining.is_set():
                    return
                if self._pause.is_on:
                    self._pause.park(PARK_S)
                    continue
                attempt = self._claim_safely(client, backoff)
            if attempt is not None:
                self._run(attempt)

    def _next_left_over(self) -> Attempt | None:
        with self._lock:
            return self._left_over.pop(0) if self._left_over else None

    def _claim_safely(self, client: ControlClient, backoff: Backoff) -> Attempt | None:
        """Claim; a spec that cannot be begun is left to its lease and must not end the slot."""
        try:
            return self._claim(client, backoff)
        except Exception:
            log.exception("an execution could not be begun")
            backoff.wait()
            return None

    def _claim(self, client: ControlClient, backoff: Backoff) -> Attempt | None:
        try:
            answer = client.post(
                "/agents/claim/", wire.Claim(CLAIM_WAIT_S), timeout_s=CLAIM_WAIT_S + 15
            )
        except (Unreachable, Rejected) as error:
            log.info("no claim: %s", error)
            backoff.wait()
            return None
        backoff.delay_s = 0.1
        if answer is None:
            return None
        spec = wire.decode(wire.ExecutionSpec, answer)
        with self._lock:
            if self._is_leaving:
                # The leave is on its way and gives this attempt back.
                return None
            attempt = self._begin(spec)
            self._attempts[spec.attempt_id] = attempt
        if self._kill_by is not None:
            attempt.reclaim(RECLAIM_SENTENCE, self._kill_by)
        return attempt

    def _begin(self, spec: wire.ExecutionSpec) -> Attempt:
        folder: Path = self._settings.state / "attempts" / spec.attempt_id
        try:
            state = states.create(folder, spec)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            if not is_disk_full(error):
                raise
            self._tools.cache.clear()
            state = states.create(folder, spec)
        return Attempt(self._tools, spec, state)

    def _run(self, attempt: Attempt) -> None:
        attempt_id = attempt.spec.attempt_id
        log.info("attempt %s of execution %s begins", attempt_id, attempt.spec.execution_id)
        try:
            attempt.run()
        except Exception:
            # The top of a slot: the next execution must not suffer from this one.
            log.exception("attempt %s failed", attempt_id)
        finally:
            with self._lock:
                del self._attempts[attempt_id]
                self._idle.notify_all()
        log.info("attempt %s ended", attempt_id)

    def _wait_until_drained(self, beats: Heartbeats) -> None:
        while not self._draining.wait(0.2):
            if beats.refused.is_set() and not self._running():
                self._draining.set()
            if self._reclaim_at:
                self._give_up_machine(beats)
            else:
                self._obey(beats)
        beats.is_draining = True
        beats.beat_now()
        stop_by: float | None = None
        while True:
            with self._idle:
                if not self._attempts:
                    self._is_leaving = True
                    return
                self._idle.wait(0.2)
            if self._stopping.is_set():
                stop_by = stop_by or time.monotonic() + STOP_LIMIT_S
                for attempt in self._running():
                    attempt.is_hard = True
                    attempt.cut("agent_stopped", "The agent was stopped by its operator.")
                if time.monotonic() > stop_by:
                    log.warning("leaving attempts for the next start of this agent")
                    return

    def _obey(self, beats: Heartbeats) -> None:
        """Do what the last heartbeat's answer wants of the agent as a whole."""
        orders = beats.orders
        self._pause.set("drain", orders.should_drain)
        if orders.should_drain and beats.drain_epoch != orders.drain_epoch:
            beats.drain_epoch, beats.is_draining = orders.drain_epoch, True
            beats.beat_now()
        elif not orders.should_drain and beats.is_draining:
            beats.is_draining = False
        is_busy = bool(self._running())
        contact = Contact(beats.heard_at, orders.keep_alive_s)
        reason = self._duties.reason_to_end(contact, is_busy=is_busy)
        if reason is not None:
            self._power_off_reason = reason
            self._draining.set()
            return
        wants_update = self._duties.wants_update(orders)
        self._pause.set("update", wants_update)
        if wants_update and not is_busy and self._pause.parked == self._settings.slots:
            self._duties.update(orders.wanted_version)

    def _hear_notice(self, at: str) -> None:
        log.warning("the cloud takes this machine back at %s", at)
        self._reclaim_at = at

    def _give_up_machine(self, beats: Heartbeats) -> None:
        """Tell of the reclaim, interrupt what runs, and leave when it has ended."""
        beats.reclaim_at = self._reclaim_at
        left_s = seconds_until(self._reclaim_at, datetime.now(UTC))
        self._kill_by = time.monotonic() + max(0.0, left_s - RECLAIM_MARGIN_S)
        self._draining.set()
        for attempt in self._running():
            attempt.reclaim(RECLAIM_SENTENCE, self._kill_by)

    def _leave(self, client: ControlClient) -> None:
        try:
            client.post("/agents/leave/", {}, timeout_s=5.0)
        except (Unreachable, Rejected) as error:
            log.info("could not say good-bye: %s", error)
