"""Environments (client-contract.md 2.3)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from control.api.answers import answer
from control.api.auth import now, signed_in, world
from control.api.bodies import read_body
from control.api.paging import page, wants, window
from control.api.presenters.environments import environment
from control.domain.errors import NotFound
from control.domain.roles import Caller
from control.services import environments
from control.services.environments import NewEnvironment

blueprint = Blueprint("environments", __name__, url_prefix="/environments")


@blueprint.get("/")
@signed_in
def list_environments(caller: Caller) -> Response:
    """List environments by name."""
    where = window()
    rows = environments.list_all(world())
    shown = [_shown(row, caller) for row in rows[where.offset : where.offset + where.limit]]
    return page(shown, where, len(rows))


@blueprint.post("/")
@signed_in
def add(caller: Caller) -> Response:
    """Add an environment, as an administrator."""
    body = read_body()
    new = NewEnvironment(
        slug=body.text("slug", is_required=True),
        name=body.text("name"),
        description=body.text("description"),
        gpu_spec=body.text("gpu_spec"),
        per_hour_price_usd=body.number("per_hour_price_usd") or 0.0,
        per_user_queue_quota=body.whole("per_user_queue_quota", 0),
        is_default=body.flag("is_default", default=False),
    )
    body.check()
    return answer(environment(environments.add(world(), caller, new, now()), caller), 201)


@blueprint.get("/<lookup>/")
@signed_in
def show(caller: Caller, lookup: str) -> Response:
    """Show an environment by id or slug."""
    for row in environments.list_all(world()):
        if lookup in (row.id, row.slug):
            return answer(_shown(row, caller))
    raise NotFound


def _shown(row: Any, caller: Caller) -> dict[str, Any]:
    shown = environment(row, caller)
    if wants("unfinished_job_count", default=False):
        shown["unfinished_job_count"] = int(row.unfinished_job_count)
    return shown
