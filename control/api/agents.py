"""The agents' own endpoints: join, heartbeat, leave. The claim is in `control/streams`."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, current_app, request

from agent import wire
from control.api.wiring import message_of, wire_answer
from control.database.rows import AnyRow
from control.domain.errors import Unauthenticated
from control.services import attempts, releases, workers
from control.services.world import World

blueprint = Blueprint("agents", __name__, url_prefix="/api/v0/agents")


def world() -> World:
    """The application's world."""
    return current_app.extensions["talkoot"]


def secret_of(scheme: str) -> str:
    """Read `Authorization: SCHEME SECRET`. Raises Unauthenticated."""
    given, _, secret = request.headers.get("Authorization", "").partition(" ")
    if given.lower() != scheme.lower() or not secret.strip():
        raise Unauthenticated(f"Send the header `Authorization: {scheme} …`.")
    return secret.strip()


def worker() -> AnyRow:
    """The worker that sends this request."""
    return workers.authenticate(world(), secret_of("Agent"))


@blueprint.post("/join/")
def join() -> Response:
    """Exchange an enrolment token for an agent's identity."""
    joined = workers.join(world(), message_of(wire.Join), datetime.now(UTC))
    return wire_answer(joined, status=201)


@blueprint.post("/heartbeat/")
def heartbeat() -> Response:
    """Extend leases; answer orders."""
    message = message_of(wire.Heartbeat)
    return wire_answer(attempts.beat(world(), worker(), message, datetime.now(UTC)))


@blueprint.post("/leave/")
def leave() -> Response:
    """Record that an agent goes."""
    workers.leave(world(), worker(), datetime.now(UTC))
    return Response(status=204)


@blueprint.get("/release/")
def release() -> Response:
    """Answer a release of the agent; machines ask before they have any identity."""
    offer = releases.offer(
        world(),
        channel=request.args.get("channel", ""),
        version=request.args.get("version", ""),
    )
    return wire_answer(offer)
