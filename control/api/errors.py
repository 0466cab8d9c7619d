"""Errors as JSON, each mapped to its status once; never a page under /api/."""

from __future__ import annotations

import random
import re
from typing import Any

import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from control.api.answers import answer
from control.domain import errors as known

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

STATUSES: dict[type[known.TalkootError], tuple[int, str]] = {
    known.NotFound: (404, "not_found"),
    known.Forbidden: (403, "permission_denied"),
    known.Unauthenticated: (401, "not_authenticated"),
    known.Conflict: (409, "conflict"),
    known.QuotaExceeded: (429, "quota"),
    known.TooLarge: (413, "too_large"),
    known.Fenced: (409, "fenced"),
    known.LogGap: (409, "log_gap"),
    known.Invalid: (400, "invalid"),
    known.TemporaryError: (503, "temporarily_unavailable"),
    known.PermanentError: (502, "refused_by_a_part"),
}
"""Each error's status and code. An error that is not here is a bug and a 500."""


def install(app: Flask) -> None:
    """Answer errors as JSON wherever a blueprint has no other way; give each request its id."""
    app.register_error_handler(known.TalkootError, _known)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unknown)
    app.before_request(_begin)
    app.after_request(_end)


def tree(error: known.Invalid) -> dict[str, Any]:
    """Arrange faults by field; `parameters.epochs` is nested (client-contract.md 1.10)."""
    result: dict[str, Any] = {}
    for fault in error.errors:
        outer, dot, inner = fault.field.partition(".")
        place = result
        if dot:
            below = result.setdefault(outer, {})
            if isinstance(below, list):  # the field itself has faults too
                below = result[outer] = {"non_field_errors": below}
            place, outer = below, inner
        elif isinstance(result.get(outer), dict):
            place, outer = result[outer], "non_field_errors"
        place.setdefault(outer, []).append({"message": fault.message, "code": fault.code})
    return result


def request_id() -> str:
    """The id of this request: the proxy's when it sent one, else our own."""
    try:
        known_id: str = g.request_id
    except AttributeError:
        given = request.environ.get("HTTP_X_REQUEST_ID", "")
        # Not a secret, so no system call, for which one waits among threads.
        known_id = given if _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(64):016x}"
        g.request_id = known_id
    return known_id


def _begin() -> None:
    structlog.contextvars.bind_contextvars(request_id=request_id())
    if "\0" in request.path or b"%00" in request.query_string:  # PostgreSQL takes none
        raise known.NotFound("An address holds no null characters.")


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id()
    if request.path.startswith("/api/"):
        response.headers.setdefault("Cache-Control", "no-store")
    structlog.contextvars.unbind_contextvars("request_id")
    return response


def _known(error: known.TalkootError) -> Response:
    if isinstance(error, known.Invalid):
        return answer(tree(error), 400)
    for kind, (status, code) in STATUSES.items():
        if isinstance(error, kind):
            body: dict[str, Any] = {"detail": error.message, "code": code}
            if isinstance(error, known.LogGap):
                body["expected"] = error.expected
            response = answer(body, status)
            if isinstance(error, known.TemporaryError):
                response.headers["Retry-After"] = str(max(1, round(error.delay_s)))
            if status == 401:
                response.headers["WWW-Authenticate"] = "Token"
            return response
    return _unknown(error)


def _http(error: HTTPException) -> Response | HTTPException:
    if not request.path.startswith("/api/") or (error.code or 500) < 400:
        return error  # pages answer for themselves; redirects stay redirects
    status = error.code or 500
    response = answer({"detail": error.description or error.name, "code": _code(error)}, status)
    methods = getattr(error, "valid_methods", None)
    if methods:
        response.headers["Allow"] = ", ".join(sorted(methods))
    return response


def _code(error: HTTPException) -> str:
    return error.name.lower().replace(" ", "_")


def _unknown(error: Exception) -> Response:
    log.error("request_failed", path=request.path, method=request.method, exc_info=error)
    return answer(
        {
            "detail": "Talkoot failed; the log has the rest under this request id.",
            "code": "internal",
            "request_id": request_id(),
        },
        500,
    )
