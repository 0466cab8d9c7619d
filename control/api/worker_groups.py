"""Worker groups: everybody signed in sees how they follow the queue, administrators change them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from flask import Blueprint, Response, current_app, request

from control.api.answers import answer
from control.api.auth import now, signed_in, world
from control.api.bodies import Body, read_body
from control.api.paging import page, page_by_key, window
from control.api.presenters import worker_groups as present
from control.domain.errors import Invalid
from control.domain.roles import Caller
from control.domain.worker_groups import BOUNDS, MONEY, NewGroup, render_config
from control.services import environments, group_views, scaling_history, worker_groups

T = TypeVar("T")
blueprint = Blueprint("worker_groups", __name__, url_prefix="/worker-groups")

TEXTS = ("environment", "cloud", "region", "channel", "agent_version", "control_url")
MORE_TEXTS = ("ca_fingerprint", "owner")
REQUIRED = ("name", "base_stack", "instance_type", "image")
NAMES = {"min": "minimum", "max": "maximum", "per_hour_price_usd": "price_per_hour_usd"}
"""What is called otherwise inside."""


@blueprint.get("/")
@signed_in
def list_groups(caller: Caller) -> Response:
    """List groups in the order they are tried; `environment` by id or slug."""
    where, lookup = window(), request.args.get("environment")
    environment_id = environments.id_of(world(), lookup) if lookup else None
    views = group_views.list_groups(world(), now(), environment_id)
    shown = views[where.offset : where.offset + where.limit]
    return page([present.group(one, caller) for one in shown], where, len(views))


@blueprint.post("/")
@signed_in
def add(caller: Caller) -> Response:
    """Add a group a market; the answer has each one's stack config, for Git."""
    body = read_body()
    new = new_group(body)
    body.check()
    rows = _by_our_names(lambda: worker_groups.add(world(), caller, new, now()))
    made = [_shown(caller, row.id) for row in rows]
    for shown, row in zip(made, rows, strict=True):
        shown["config_file"] = f"Pulumi.{row.stack}.yaml"
        shown["config_text"] = render_config(row.cloud, row.region, row.inputs)
    return answer({"results": made}, 201)


@blueprint.get("/<lookup>/")
@signed_in
def show(caller: Caller, lookup: str) -> Response:
    """Show a group by id or name."""
    return answer(_shown(caller, lookup))


@blueprint.patch("/<lookup>/")
@signed_in
def change(caller: Caller, lookup: str) -> Response:
    """Change what is named, as an administrator; everything else stays."""
    body = read_body()
    changes = read_changes(body)
    is_enabled = body.flag("is_enabled", default=True) if "is_enabled" in body else None
    body.check()
    row = worker_groups.find(world(), caller, lookup).row
    if changes:
        _by_our_names(lambda: worker_groups.change(world(), caller, row.id, changes, now()))
    if is_enabled is not None:
        worker_groups.set_enabled(world(), caller, row.id, is_enabled, now())
    return answer(_shown(caller, row.id))


@blueprint.get("/<lookup>/plan/")
@signed_in
def plan(caller: Caller, lookup: str) -> Response:
    """Answer the newest decision, and what was found when it was made; null before the first."""
    view = group_views.find(world(), lookup, now())
    newest = present.decision(view.decision) if view.decision is not None else None
    return answer({"group": view.row.name, "decision": newest, "hold": view.row.hold})


@blueprint.get("/<lookup>/decisions/")
@signed_in
def decisions(caller: Caller, lookup: str) -> Response:
    """List decisions, newest first; `before` is the id that the last page ended with."""
    group_id = group_views.find(world(), lookup, now()).row.id

    def read(before: str | None, limit: int) -> list[Any]:
        return scaling_history.page_of_decisions(world(), group_id, before=before, limit=limit)

    return page_by_key(read, present.decision)


@blueprint.get("/<lookup>/machines/")
@signed_in
def machines(caller: Caller, lookup: str) -> Response:
    """List every machine the group had, newest first; consoles only to an administrator."""
    group_id = group_views.find(world(), lookup, now()).row.id
    consoles: dict[str, str] = {}

    def read(before: str | None, limit: int) -> list[Any]:
        rows = group_views.page_of_machines(world(), group_id, before=before, limit=limit)
        if caller.is_admin:
            wanted = [row.id for row in rows if row.has_console]
            consoles.update(group_views.consoles(world(), wanted))
        return rows

    def shown(row: Any) -> dict[str, Any]:
        return present.machine(row, consoles.get(row.id, "") if caller.is_admin else None)

    return page_by_key(read, shown)


def _shown(caller: Caller, lookup: str) -> dict[str, Any]:
    return present.group(group_views.find(world(), lookup, now()), caller)


def _by_our_names(work: Callable[[], T]) -> T:
    """Name faults as the API names their fields."""
    outside = {inside: name for name, inside in NAMES.items()}
    try:
        return work()
    except Invalid as error:
        raise Invalid(
            *(replace(one, field=outside.get(one.field, one.field)) for one in error.errors)
        ) from None


def new_group(body: Body) -> NewGroup:
    """Read a group to add; faults stay in the body."""
    given: dict[str, Any] = {name: body.text(name, is_required=True) for name in REQUIRED}
    given |= {name: body.text(name) for name in (*TEXTS, *MORE_TEXTS) if body.fields.get(name)}
    given |= _numbers(body)
    given.setdefault("control_url", current_app.config["PUBLIC_URL"] or "")
    if "markets" in body:
        given["markets"] = tuple(body.texts("markets"))
    return NewGroup(**given)


def read_changes(body: Body) -> dict[str, Any]:
    """Read what is to change; faults stay in the body."""
    changes = _numbers(body)
    if "channel" in body:
        changes["channel"] = body.text("channel")
    for name in body.fields:
        inside = NAMES.get(name, name)
        if name != "is_enabled" and inside not in worker_groups.CHANGEABLE:
            body.wrong(name, "This cannot be changed.")
    return changes


def _numbers(body: Body) -> dict[str, Any]:
    """Read the numbers that the body names; an empty budget is none."""
    found: dict[str, Any] = {}
    for name in body.fields:
        inside = NAMES.get(name, name)
        if inside in BOUNDS and body.fields[name] not in (None, ""):
            found[inside] = body.whole(name, 0)
        elif inside in MONEY:
            number = body.number(name)
            found[inside] = number or 0.0 if inside == "price_per_hour_usd" else number
    return found
