"""Who visits: the session of a request, its caller and clock, and the check of what it changes."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit

from flask import current_app, g, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as WerkzeugResponse

from control.domain.errors import Forbidden, Unauthenticated
from control.domain.roles import Caller
from control.services import tokens
from control.services.world import World

SAFE = ("GET", "HEAD", "OPTIONS")
OPEN = frozenset(
    {
        "web.assets.serve",
        "web.assets.favicon",
        "web.gallery.show",
        "web.people.sign_in",
        "web.people.sign_in_by_link",
        "web.people.sign_in_by_password",
    }
)
"""What needs no session."""


def world() -> World:
    """The ports of this app."""
    return current_app.extensions["talkoot"]


def now() -> datetime:
    """The time of this request: one for the whole page."""
    if "now" not in g:
        g.now = datetime.now(UTC)
    return g.now


def caller() -> Caller:
    """The signed-in person. Raises Unauthenticated, which becomes the sign-in page."""
    signed_in = signed_in_or_none()
    if signed_in is None:
        raise Unauthenticated
    return signed_in.caller


def signed_in_or_none() -> tokens.SignedIn | None:
    """Read the session from its cookie, once a request."""
    if "signed_in" not in g:
        g.signed_in = None
        secret = request.cookies.get(tokens.SESSION_COOKIE)
        if secret:
            try:
                g.signed_in = tokens.authenticate(world(), secret, "session", now())
            except Unauthenticated:
                g.signed_in = None
    return g.signed_in


def guard() -> ResponseReturnValue | None:
    """Before every page: a session, and a form of ours when something is to change."""
    is_open = request.endpoint in OPEN
    signed_in = None if is_open and request.method in SAFE else signed_in_or_none()
    if signed_in is None and not is_open:
        return redirect(sign_in_url())
    if request.method not in SAFE:
        _check_origin()
        if signed_in is not None:
            _check_csrf(signed_in.csrf or "")
    return None


def sign_in_url() -> str:
    """The sign-in page, and back to here afterwards."""
    here = request.full_path.rstrip("?") if request.method in SAFE else "/"
    return "/sign-in/" if here == "/" else f"/sign-in/?{urlencode({'next': here})}"


def safe_next(target: str | None) -> str:
    """Answer a path on this host, never another host: anything else becomes the first page."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    parts = urlsplit(target)
    has_odd = any(ord(letter) < 32 or letter == "\\" for letter in target)
    return "/" if parts.netloc or parts.scheme or has_odd else target


def see_other(url: str) -> WerkzeugResponse:
    """Answer a form: the browser goes on by GET."""
    return redirect(url, code=303)


def _check_origin() -> None:
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("This form was sent from another site.")
    origin = request.headers.get("Origin")
    if origin and origin != "null" and urlsplit(origin).netloc != request.host:
        raise Forbidden("This form was sent from another site.")


def _check_csrf(expected: str) -> None:
    given = request.headers.get(tokens.CSRF_HEADER) or request.form.get("csrf_token", "")
    if not expected or not secrets.compare_digest(given.encode(), expected.encode()):
        raise Forbidden("This form is out of date: load the page again and send it once more.")
