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
from pathlib import Path
from typing import Any

import urllib3

from agent import machine, wire
from agent.cache import Cache
from agent.client import Backoff, ControlClient, Rejected, Unreachable
from agent.loop import state as states
from agent.loop.attempt import Attempt, Tools
from agent.loop.heartbeats import Heartbeats
from agent.phases.failures import Refused
from agent.runtimes.base import Runtime
from agent.settings import VERSION, Settings

CLAIM_WAIT_S = 20.0
STOP_LIMIT_S = 30.0
JOIN_LIMIT_S = 60.0

log = logging.getLogger(__name__)


class Agent:
    """One process on one machine."""

    def __init__(self, settings: Settings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        self._pool = urllib3.PoolManager(num_pools=32, maxsize=16)
        self._attempts: dict[str, Attempt] = {}
        self._lock = threading.Lock()
        self._left_over: list[Attempt] = []
        self._draining = threading.Event()
        self._stopping = threading.Event()
        self._idle = threading.Condition(self._lock)
        self._is_leaving = False
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
        identity = self._join()
        self._take_up()
        token = f"Agent {identity.agent_token}"
        client = ControlClient(self._settings.url, token, self._pool)
        beats = Heartbeats(client, self._running, self._facts, identity.heartbeat_s)
        beats.start()
        for number in range(self._settings.slots):
            threading.Thread(
                target=self._slot, args=(token,), name=f"slot {number + 1}", daemon=True
            ).start()
        log.info("agent %s works for %s", identity.worker_id, identity.environment)
        self._wait_until_drained(beats)
        beats.end()
        self._leave(client)
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

    def _join(self) -> machine.Identity:
        known = machine.read_identity(self._settings.state, self._settings.url)
        if known is not None:
            return known
        token = self._settings.enrol_token
        if token is None:
            raise Refused(
                "This agent has not joined yet: give it an enrolment token "
                "(--enrol-token-file or TALKOOT_ENROL_TOKEN)."
            )
        message = wire.Join(
            token, self._settings.name, self._runtime.name, VERSION, facts=self._facts()
        )
        joined = self._post_join(message)
        identity = machine.Identity(
            joined.worker_id,
            joined.agent_token,
            joined.environment,
            joined.heartbeat_s,
            self._settings.url,
        )
        machine.keep_identity(self._settings.state, identity)
        return identity

    def _post_join(self, message: wire.Join) -> wire.Joined:
        client = ControlClient(self._settings.url, None, self._pool)
        backoff = Backoff(event=self._draining)
        limit = time.monotonic() + JOIN_LIMIT_S
        while True:
            try:
                return wire.decode(wire.Joined, client.post("/agents/join/", message))
            except Unreachable as error:
                if backoff.wait() or time.monotonic() > limit:
                    raise Refused(
                        f"The control service cannot be reached at {self._settings.url}."
                    ) from error
            except Rejected as error:
                raise Refused(f"The control service refuses to let us join: {error.detail}") from (
                    error
                )

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
        pool = urllib3.PoolManager(num_pools=1, maxsize=1)
        client = ControlClient(self._settings.url, token, pool)
        backoff = Backoff(event=self._draining)
        while True:
            attempt = self._next_left_over()
            if attempt is None:
                if self._draining.is_set():
                    return
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
        return attempt

    def _begin(self, spec: wire.ExecutionSpec) -> Attempt:
        folder: Path = self._settings.state / "attempts" / spec.attempt_id
        return Attempt(self._tools, spec, states.create(folder, spec))

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

    def _leave(self, client: ControlClient) -> None:
        try:
            client.post("/agents/leave/", {}, timeout_s=5.0)
        except (Unreachable, Rejected) as error:
            log.info("could not say good-bye: %s", error)
