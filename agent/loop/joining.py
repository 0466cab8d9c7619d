"""How the agent gets its identity: the one it kept, a token's, or its cloud's word."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import urllib3

from agent import machine, wire
from agent.client import Backoff, ControlClient, Rejected, Unreachable
from agent.instance import AwsInstance, NoMetadata
from agent.phases.failures import Refused
from agent.settings import VERSION, Settings

JOIN_LIMIT_S = 60.0

log = logging.getLogger(__name__)


class Joining:
    """Joins once; the identity is kept in the state directory."""

    def __init__(
        self,
        settings: Settings,
        pool: urllib3.PoolManager,
        instance: AwsInstance | None,
        give_up: threading.Event,
    ) -> None:
        self._settings = settings
        self._client = ControlClient(settings.url, None, pool)
        self._instance = instance
        self._give_up = give_up

    def join(self, runtime: str, facts: dict[str, Any]) -> machine.Identity:
        """Give the identity. Raises Refused."""
        settings = self._settings
        known = machine.read_identity(settings.state, settings.url)
        if known is not None:
            return known
        joined = self._post(runtime, facts)
        identity = machine.Identity(
            joined.worker_id,
            joined.agent_token,
            joined.environment,
            joined.heartbeat_s,
            settings.url,
        )
        machine.keep_identity(settings.state, identity)
        return identity

    def _message(self, runtime: str, facts: dict[str, Any]) -> wire.Join:
        """Say who we are. Raises Refused, NoMetadata."""
        settings = self._settings
        if self._instance is not None:
            word = self._instance.identity(settings.machine.group)
            return wire.Join(
                "", settings.name, runtime, VERSION, facts=facts, instance_identity=word
            )
        if settings.enrol_token is None:
            raise Refused(
                "This agent has not joined yet: give it an enrolment token "
                "(--enrol-token-file or TALKOOT_ENROL_TOKEN)."
            )
        return wire.Join(settings.enrol_token, settings.name, runtime, VERSION, facts=facts)

    def _post(self, runtime: str, facts: dict[str, Any]) -> wire.Joined:
        backoff = Backoff(event=self._give_up)
        # A machine of a cloud has nothing better to do; its watchdog ends it if this is in vain.
        limit_s = self._settings.machine.orphan_timeout_s if self._instance else JOIN_LIMIT_S
        limit = time.monotonic() + limit_s
        while True:
            try:
                answer = self._client.post("/agents/join/", self._message(runtime, facts))
                return wire.decode(wire.Joined, answer)
            except (Unreachable, NoMetadata) as error:
                log.info("not joined yet: %s", error)
                if backoff.wait() or time.monotonic() > limit:
                    raise Refused(
                        f"The control service cannot be reached at {self._settings.url}: {error}."
                    ) from error
            except Rejected as error:
                raise Refused(f"The control service refuses to let us join: {error.detail}") from (
                    error
                )
