"""The world's door: every call to Amazon passes here, is remembered, and may come to grief."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.test import run_wsgi_app

from tests.engines.aws import answers
from tests.engines.aws.answers import Answer, Call
from tests.engines.aws.faults import Fault
from tests.engines.aws.state import world

KEY_ID = "AKIATALKOOTTESTS0001"
SECRET_KEY = "a secret key for tests"

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_READS = ("Describe", "List", "Get")


class Gate:
    """A WSGI application before moto's."""

    def __init__(self, moto: Wsgi, ours: dict[str, Wsgi]) -> None:
        self._moto = moto
        self._ours = ours  # by the first part of the path
        self._seen: dict[Any, Answer] = {}

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        for prefix, application in self._ours.items():
            if path.startswith(prefix):
                return application(environ, start)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        call = answers.read(environ, body)
        if call.service == "s3":
            # A bucket's policy may demand TLS; this is loopback, and the world says it was there.
            environ["wsgi.url_scheme"] = "https"
        answer = self._answer(call, environ, body)
        world.remember_call(
            service=call.service,
            region=call.region,
            operation=call.operation,
            parameters=call.parameters,
            status=answer.status,
        )
        start(f"{answer.status} -", answer.headers)
        return [answer.body]

    def _answer(self, call: Call, environ: dict[str, Any], body: bytes) -> Answer:
        facts = {"operation": call.operation, "service": call.service}
        if fault := world.faults.take("outage", **facts):
            _cut(environ, fault)
        slow = world.faults.take("slow", **facts)
        if slow and slow.text("when") != "after":
            time.sleep(slow.number("seconds"))
        answer = self._answer_now(call, facts, environ, body)
        if slow and slow.text("when") == "after":
            time.sleep(slow.number("seconds"))
        return answer

    def _answer_now(
        self, call: Call, facts: dict[str, str], environ: dict[str, Any], body: bytes
    ) -> Answer:
        refused = _refusal(call, facts)
        if refused is not None:
            return refused
        is_read = call.operation.startswith(_READS)
        place = (call.service, call.region, environ.get("PATH_INFO"), body)
        if is_read and (fault := world.faults.take("stale", **facts)):
            return self._before(fault, place, environ)
        if is_read and world.faults.take("empty", **facts):
            return answers.nothing(call) or self._live(environ)
        answer = self._live(environ)
        if is_read and not answer.is_refusal:
            self._seen[place] = answer
        return answer

    def _before(self, fault: Fault, place: Any, environ: dict[str, Any]) -> Answer:
        """Answer what was answered before the fault; what was never asked is not stale."""
        if place not in fault.frozen:
            fault.frozen[place] = self._seen.get(place) or self._live(environ)
        return fault.frozen[place]

    def _live(self, environ: dict[str, Any]) -> Answer:
        with world.lock:
            parts, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
        return Answer(int(status.split()[0]), list(headers.items()), b"".join(parts))


def _refusal(call: Call, facts: dict[str, str]) -> Answer | None:
    if call.key not in ("", KEY_ID) or world.faults.take("credentials", **facts):
        return answers.wrong_keys(call)
    if world.faults.take("throttle", **facts):
        return answers.too_many(call)
    if world.faults.take("denied", **facts):
        return answers.no_right(call)
    if fault := world.faults.take("error", **facts):
        status = int(fault.number("status", 400))
        return answers.refuse(call, fault.text("code"), fault.text("message"), status)
    return None


def _cut(environ: dict[str, Any], fault: Fault) -> None:
    """End the connection without an answer, at once or after a while of silence."""
    if fault.text("mode") == "hang":
        time.sleep(fault.number("seconds", 30))
    connection: socket.socket = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("the network is out")
