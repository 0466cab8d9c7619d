"""Signing in, oneself, one's tokens (client-contract.md 2.1)."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import version

from flask import Blueprint, Response

from control.api.answers import answer, empty
from control.api.auth import now, signed_in, world
from control.api.bodies import Body, read_body
from control.api.paging import page, window
from control.api.presenters import people as present
from control.domain.roles import Caller
from control.services import people, tokens

blueprint = Blueprint("people", __name__)


@blueprint.post("/get-token/")
def get_token() -> Response:
    """Exchange a password for a token."""
    body = read_body()
    username = body.text("username", is_required=True)
    password = body.text("password", is_required=True)
    body.check()
    return answer({"token": people.sign_in_for_token(world(), username, password, now())})


@blueprint.get("/users/me/")
@signed_in
def me(caller: Caller) -> Response:
    """Answer who calls."""
    return answer(present.user(people.get_user(world(), caller)))


@blueprint.get("/users/")
@signed_in
def list_users(caller: Caller) -> Response:
    """List everybody, to an administrator."""
    rows = people.list_users(world(), caller)
    return page([present.user(row) for row in rows], window(), len(rows))


@blueprint.get("/organizations/")
@signed_in
def list_organizations(caller: Caller) -> Response:
    """List organizations: there are none."""
    return page([], window(), 0)


@blueprint.get("/users/login_link/")
@signed_in
def login_link(caller: Caller) -> Response:
    """Make a path that signs the caller in once, in a browser."""
    secret = tokens.make_login_link(world(), caller.user_id, now())
    return answer({"url": f"/sign-in/{secret}/?from=api"})


@blueprint.get("/server/")
def server() -> Response:
    """Say what this is."""
    return answer({"flavor": "talkoot", "version": version("talkoot")})


@blueprint.get("/tokens/")
@signed_in
def list_tokens(caller: Caller) -> Response:
    """List the caller's tokens, without their secrets."""
    rows = tokens.list_tokens(world(), caller)
    return page([present.token(row) for row in rows], window(), len(rows))


@blueprint.post("/tokens/")
@signed_in
def create_token(caller: Caller) -> Response:
    """Make a token; the answer holds its secret, this once."""
    body = read_body()
    name, expires_at = body.text("name", is_required=True), _time(body, "expires_at")
    body.check()
    token_id, secret = tokens.create_token(world(), caller, name, now(), expires_at=expires_at)
    return answer({"id": token_id, "name": name, "token": secret}, 201)


@blueprint.delete("/tokens/<token_id>/")
@signed_in
def revoke_token(caller: Caller, token_id: str) -> Response:
    """Revoke a token of the caller's."""
    tokens.revoke_token(world(), caller, token_id, now())
    return empty()


def _time(body: Body, name: str) -> datetime | None:
    text = body.optional_text(name)
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        body.wrong(name, "A time like 2030-01-02T03:04:05Z is expected.")
        return None
    if time.tzinfo is None or not 1 < time.year < 9999:
        body.wrong(name, "A time with its zone is expected, like 2030-01-02T03:04:05Z.")
        return None
    return time
