"""Errors as pages: what happened, what to do, and the request id; the statuses are the API's."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from flask import Blueprint, g, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from control.domain import errors as known
from control.web import formats, visit

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Problem:
    """What the error page shows."""

    status: int
    title: str
    advice: str


NOTHING_HERE = Problem(
    404,
    "There is nothing here",
    "It was deleted, the address is wrong, or its project does not have you as a member.",
)
_DOCTOR = "`talkoot doctor` on the server says which part it is and what to do."
_PROBLEMS: dict[type[Exception], Problem] = {
    known.NotFound: NOTHING_HERE,
    known.Forbidden: Problem(
        403,
        "This is not allowed",
        "Ask an owner of the project for the right, or sign in as somebody who has it.",
    ),
    known.Conflict: Problem(
        409, "It has changed meanwhile", "Go back, load the page again and look at what it is now."
    ),
    known.Invalid: Problem(400, "That cannot be done", "Go back, correct it and send it again."),
    known.QuotaExceeded: Problem(429, "Not so fast", "Wait a little, then try again."),
    known.TooLarge: Problem(413, "This is too large", "Send less at once."),
    known.TemporaryError: Problem(503, "A part of Talkoot does not answer", _DOCTOR),
    known.PermanentError: Problem(502, "A part of Talkoot refused", _DOCTOR),
}
_BROKEN = "It is our fault, not yours. Tell your operator the request id: the log has the rest."


def install(web: Blueprint) -> None:
    """Answer every error of a page by a page."""
    web.register_error_handler(known.Unauthenticated, _sign_in)
    web.register_error_handler(known.TalkootError, _known)
    web.register_error_handler(HTTPException, _http)
    web.register_error_handler(Exception, _unknown)


def page(problem: Problem, detail: str = "") -> ResponseReturnValue:
    """Render the error page."""
    shown = {"problem": problem, "detail": detail, "request_id": request_id()}
    return render_template("error.html", **shown), problem.status


def not_found() -> ResponseReturnValue:
    """Answer an address that no page has; for the app's own 404."""
    return page(NOTHING_HERE)


def request_id() -> str:
    """The id that is in the log too."""
    return str(g.get("request_id", "")) or request.headers.get("X-Request-Id", formats.DASH)


def _sign_in(_error: Exception) -> ResponseReturnValue:
    return redirect(visit.sign_in_url())


def _known(error: known.TalkootError) -> ResponseReturnValue:
    for kind, problem in _PROBLEMS.items():
        if isinstance(error, kind):
            return page(problem, error.message)
    return _unknown(error)


def _http(error: HTTPException) -> ResponseReturnValue:
    if error.code in (301, 302, 303, 307, 308):
        return error.get_response()
    if error.code == 404:
        return not_found()
    return page(Problem(error.code or 500, error.name, error.description or ""))


def _unknown(error: Exception) -> ResponseReturnValue:
    log.error("page failed", path=request.path, request_id=request_id(), exc_info=error)
    return page(Problem(500, "Something broke", _BROKEN))
