"""Who calls: an API token, or a page of ours with its session and CSRF value."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps

from flask import Response, current_app, g, request

from control.domain.errors import Forbidden, Unauthenticated
from control.domain.roles import Caller
from control.services import tokens
from control.services.world import World

SAFE = ("GET", "HEAD", "OPTIONS")
View = Callable[..., Response]


def world() -> World:
    """The ports of this application."""
    return current_app.extensions["talkoot"]


def now() -> datetime:
    """The time of this request, one for all it does."""
    if "now" not in g:
        g.now = datetime.now(UTC)
    return g.now


def signed_in(view: View) -> View:
    """Let only signed-in people in; the view gets the caller first."""

    @wraps(view)
    def inner(**arguments: object) -> Response:
        return view(_caller(), **arguments)

    return inner


def _caller() -> Caller:
    header = request.headers.get("Authorization")
    if header is None:
        return _of_session()
    scheme, _, secret = header.partition(" ")
    if scheme.lower() not in ("token", "bearer") or not secret.strip():
        raise Unauthenticated("Send the header `Authorization: Token …`.")
    return tokens.authenticate_token(world(), secret.strip(), now())


def _of_session() -> Caller:
    """Let a page of ours call; what changes something must bring the session's CSRF value."""
    secret = request.cookies.get(tokens.SESSION_COOKIE)
    if not secret:
        raise Unauthenticated
    session = tokens.authenticate(world(), secret, "session", now())
    if request.method not in SAFE:
        given = request.headers.get(tokens.CSRF_HEADER, "")
        if not secrets.compare_digest(given.encode(), (session.csrf or "").encode()):
            raise Forbidden("The CSRF value is missing or old: load the page again.")
    return session.caller
