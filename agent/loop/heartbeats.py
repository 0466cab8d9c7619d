"""One thread that proves the agent lives and hears what the control service wants."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent import wire
from agent.client import ControlClient, Rejected, Unreachable
from agent.loop.attempt import Attempt

FACTS_EVERY_S = 30.0
LIMIT_S = 10.0

log = logging.getLogger(__name__)


class Heartbeats(threading.Thread):
    """Beats until told to end; `refused` is set when the agent's token opens nothing any more."""

    def __init__(
        self,
        client: ControlClient,
        attempts: Callable[[], list[Attempt]],
        facts: Callable[[], dict[str, Any]],
        interval_s: float,
        alive: Path,
    ) -> None:
        super().__init__(name="heartbeats", daemon=True)
        self._client = client
        self._attempts = attempts
        self._facts = facts
        self._interval_s = interval_s
        self._alive = alive  # touched in every round: a watchdog of the machine looks at it
        self._known_facts: dict[str, Any] = {}
        self._facts_at = 0.0
        self.is_draining = False
        self.drain_epoch = 0  # of the newest order to drain that is obeyed
        self.reclaim_at = ""
        self.orders = wire.Orders(heartbeat_s=interval_s)  # as last heard
        self.heard_at = time.monotonic()
        self.refused = threading.Event()
        self._wake = threading.Event()
        self._is_over = threading.Event()

    def beat_now(self) -> None:
        """Beat before the next is due."""
        self._wake.set()

    def end(self) -> None:
        self._is_over.set()
        self._wake.set()

    def run(self) -> None:
        while not self._is_over.is_set():
            try:
                self._alive.touch()
                self._beat()
            except Unreachable as error:
                log.info("no heartbeat: %s", error)
            except Rejected as error:
                log.error("the control service refuses this agent: %s", error)
                self.refused.set()
            except Exception:
                # The top of a thread that must not end: its silence would cost the attempts.
                log.exception("a heartbeat failed")
            self._wake.wait(self._interval_s)
            self._wake.clear()

    def _beat(self) -> None:
        attempts = {one.spec.attempt_id: one for one in self._attempts()}
        asked_at = time.monotonic()
        message = wire.Heartbeat(
            tuple(one.beat for one in attempts.values()),
            self.is_draining,
            self.drain_epoch,
            facts=self._current_facts(),
            reclaim_at=self.reclaim_at,
        )
        answer = self._client.post("/agents/heartbeat/", message, timeout_s=LIMIT_S)
        orders = wire.decode(wire.Orders, answer)
        self.orders, self.heard_at = orders, time.monotonic()
        self._interval_s = max(0.05, orders.heartbeat_s)
        self.refused.clear()
        for order in orders.attempts:
            attempt = attempts.get(order.attempt_id)
            if attempt is None:
                continue
            if order.action != "fenced":
                attempt.lease.renew(asked_at, order.lease_s)
            attempt.order(order.action, order.reason)

    def _current_facts(self) -> dict[str, Any]:
        if time.monotonic() - self._facts_at > FACTS_EVERY_S or not self._known_facts:
            self._known_facts = self._facts()
            self._facts_at = time.monotonic()
        return self._known_facts
