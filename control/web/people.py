"""Signing in and out, and one's own API tokens."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from control.domain.errors import Invalid, QuotaExceeded, Unauthenticated
from control.services import people, tokens
from control.web import visit
from control.web.faults import by_field

blueprint = Blueprint("people", __name__)


@blueprint.get("/sign-in/")
def sign_in() -> ResponseReturnValue:
    """Show the form; somebody who is signed in goes on."""
    target = visit.safe_next(request.args.get("next"))
    if visit.signed_in_or_none() is not None:
        return redirect(target)
    return render_template("sign_in.html", next=target, username="", wrong="")


@blueprint.post("/sign-in/")
def sign_in_by_password() -> ResponseReturnValue:
    """Let somebody in, or say what was wrong."""
    target = visit.safe_next(request.form.get("next"))
    username = request.form.get("username", "")
    try:
        found = people.authenticate_password(
            visit.world(), username, request.form.get("password", ""), visit.now()
        )
    except (Invalid, QuotaExceeded) as error:
        wrong = error.errors[0].message if isinstance(error, Invalid) else error.message
        shown = {"next": target, "username": username, "wrong": wrong}
        return render_template("sign_in.html", **shown), 400
    return _admit(found.user_id, target)


@blueprint.get("/sign-in/<secret>/")
def sign_in_by_link(secret: str) -> ResponseReturnValue:
    """Use up a sign-in link; a scanner's HEAD leaves it as it is."""
    if request.method == "HEAD":
        return ""
    try:
        found = tokens.use_login_link(visit.world(), secret, visit.now())
    except Unauthenticated as error:
        if visit.signed_in_or_none():  # the same link once more, such as from the terminal
            return visit.see_other(visit.safe_next(request.args.get("next")))
        return render_template("sign_in_link.html", wrong=error.message), 400
    return _admit(found.user_id, visit.safe_next(request.args.get("next")))


@blueprint.post("/sign-out/")
def sign_out() -> ResponseReturnValue:
    """End the session here and in the database."""
    tokens.close_session(visit.world(), request.cookies.get(tokens.SESSION_COOKIE, ""))
    answer = visit.see_other("/sign-in/")
    answer.delete_cookie(tokens.SESSION_COOKIE, path="/")
    return answer


@blueprint.get("/auth/tokens/")
def list_tokens() -> ResponseReturnValue:
    """List the caller's API tokens."""
    return _tokens_page()


@blueprint.post("/auth/tokens/")
def make_token() -> ResponseReturnValue:
    """Make a token and show its secret, this once."""
    name = request.form.get("name", "")
    try:
        _, secret = tokens.create_token(visit.world(), visit.caller(), name, visit.now())
    except Invalid as error:
        return _tokens_page(errors=by_field(error), name=name), 400
    return _tokens_page(secret=secret)


@blueprint.post("/auth/tokens/<token_id>/revoke/")
def revoke_token(token_id: str) -> ResponseReturnValue:
    """Revoke one of the caller's tokens."""
    tokens.revoke_token(visit.world(), visit.caller(), token_id, visit.now())
    return visit.see_other("/auth/tokens/")


def _tokens_page(**shown: object) -> str:
    mine = tokens.list_tokens(visit.world(), visit.caller())
    return render_template("tokens.html", tokens=mine, **{"name": "", **shown})


def _admit(user_id: int, target: str) -> Response:
    lifetime = timedelta(hours=current_app.config.get("SESSION_HOURS", 24 * 14))
    secret, _ = tokens.open_session(visit.world(), user_id, visit.now(), lifetime=lifetime)
    answer = visit.see_other(target)
    answer.set_cookie(
        tokens.SESSION_COOKIE,
        secret,
        max_age=lifetime,
        path="/",
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return answer
