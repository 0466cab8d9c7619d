"""Worker groups: the form that adds one, a group's page, and what administrators do there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from control.domain.errors import FieldError, Forbidden, Invalid
from control.domain.worker_groups import MARKETS, NewGroup, offerings_of, render_config
from control.services import (
    environments,
    group_views,
    people_drains,
    scaling_history,
    stack_leases,
    stack_run_views,
    worker_groups,
)
from control.web import toasts, visit
from control.web.faults import by_field
from control.web.presenters import groups as present
from control.web.presenters import scaling
from control.web.presenters.stack_runs import run_row

blueprint = Blueprint("worker_groups", __name__)
PAGE = 50
MOST_RUNS = 10
TEXTS = ("name", "environment", "base_stack", "instance_type", "image", "channel", "control_url")
NUMBERS = ("minimum", "maximum", "slots", "spare", "idle_ttl_s", "boot_grace_s", "disk_gb")
MONEY = ("price_per_hour_usd", "hourly_budget_usd", "monthly_budget_usd")
CHANGES = ("minimum", "maximum", "spare", "idle_ttl_s", "boot_grace_s", *MONEY)
ORDERS = {
    "spot": ("spot",),
    "on-demand": ("on-demand",),
    "spot,on-demand": ("spot", "on-demand"),
}


@blueprint.get("/worker-groups/new/")
def new() -> str:
    """Show the form."""
    _administrators_only()
    return _form({"environment": request.args.get("environment", "")}, {})


@blueprint.post("/worker-groups/new/")
def add() -> ResponseReturnValue:
    """Add the groups, or only show the config that a review in Git wants."""
    _administrators_only()
    try:
        asked = _asked(request.form)
        if request.form.get("do") == "show":
            complete = worker_groups.offered(visit.world(), worker_groups.checked(asked))
            return _form(request.form, {}, _configs(complete))
        rows = worker_groups.add(visit.world(), visit.caller(), asked, visit.now())
    except Invalid as error:
        return _form(request.form, by_field(error)), 400
    toasts.say(f"Added {' and '.join(row.name for row in rows)}.")
    return visit.see_other(present.group_url(rows[0].name))


@blueprint.get("/worker-groups/<name>/")
def show(name: str) -> str:
    """Show a group: how it is and why, its decisions, machines and runs."""
    return _page(name, {})


@blueprint.post("/worker-groups/<name>/")
def change(name: str) -> ResponseReturnValue:
    """Change bounds, times and money."""

    def work() -> str:
        given = _numbers(request.form, CHANGES)
        worker_groups.change(visit.world(), visit.caller(), name, given, visit.now())
        return "Saved. Bring the config below to Git, so that a person's update keeps it."

    return _do(name, work)


@blueprint.post("/worker-groups/<name>/state/")
def change_state(name: str) -> ResponseReturnValue:
    """Switch it on or off, pause it, or give it back to the service."""
    actions: dict[str, Callable[[], str]] = {
        "enable": lambda: _enable(name, True),
        "disable": lambda: _enable(name, False),
        "pause": lambda: _pause(name),
        "resume": lambda: _resume(name),
    }
    action = actions.get(request.form.get("do", ""))
    return _do(name, action or (lambda: "Nothing was chosen."))


@blueprint.post("/workers/<worker_id>/drain/")
def drain(worker_id: str) -> ResponseReturnValue:
    """Let a worker take nothing new."""
    row = people_drains.drain(visit.world(), visit.caller(), worker_id, visit.now())
    toasts.say(f"{row.name} takes nothing new and leaves once it is idle.")
    return visit.see_other(f"/environments/{row.environment_id}/")


def _enable(name: str, is_enabled: bool) -> str:
    worker_groups.set_enabled(visit.world(), visit.caller(), name, is_enabled, visit.now())
    return "Switched on." if is_enabled else "Switched off: it starts nothing, idle machines leave."


def _pause(name: str) -> str:
    _administrators_only()
    if stack_leases.pause(visit.world(), name, visit.caller().username, visit.now()):
        return "Paused: the stack is yours until you give it back."
    return "A run of the engine goes on; the pause holds from its end. Ask again then."


def _resume(name: str) -> str:
    _administrators_only()
    stack_leases.resume(visit.world(), name, visit.now())
    return "The service follows the queue again."


def _administrators_only() -> None:
    if not visit.caller().is_admin:
        raise Forbidden("Only an administrator changes worker groups.")


# -- the form -------------------------------------------------------------------------------------
def _form(
    form: Mapping[str, str], errors: Mapping[str, str], configs: list[dict[str, str]] | None = None
) -> str:
    shown = {"form": form, "errors": errors, "configs": configs or [], "orders": ORDERS}
    return render_template("worker_group_new.html", place="environments", **shown)


def _asked(form: Mapping[str, str]) -> NewGroup:
    given: dict[str, Any] = {key: form[key].strip() for key in TEXTS if form.get(key, "").strip()}
    given |= _numbers(form, (*NUMBERS, *MONEY), empty_too=False)
    given["markets"] = ORDERS.get(form.get("markets", ""), (MARKETS[1],))
    for name in ("name", "base_stack", "instance_type", "image"):
        given.setdefault(name, "")  # its absence is named with every other fault
    return NewGroup(**given)


def _numbers(
    form: Mapping[str, str], names: tuple[str, ...], *, empty_too: bool = True
) -> dict[str, float | None]:
    """Read numbers; an empty one is none, of a budget alone. Raises Invalid with every fault."""
    found: dict[str, float | None] = {}
    faults: list[FieldError] = []
    for name in names:
        text = form.get(name, "").strip()
        if not text:
            if empty_too and name.endswith("budget_usd") and name in form:
                found[name] = None
            continue
        try:
            found[name] = float(text) if name in MONEY else int(text)
        except ValueError:
            kind = "number" if name in MONEY else "whole number"
            faults.append(FieldError(name, f"'{text}' is not a {kind}."))
    if faults:
        raise Invalid(*faults)
    return found


def _configs(asked: NewGroup) -> list[dict[str, str]]:
    return [
        {
            "file": f"Pulumi.{one.stack}.yaml",
            "text": render_config(asked.cloud, asked.region, one.inputs),
        }
        for one in offerings_of(asked)
    ]


# -- the page -------------------------------------------------------------------------------------
def _do(name: str, work: Callable[[], str]) -> ResponseReturnValue:
    _administrators_only()
    try:
        toasts.say(work())
    except Invalid as error:
        return _page(name, by_field(error)), 400
    return visit.see_other(present.group_url(name))


def _page(name: str, errors: dict[str, str]) -> str:
    world, now = visit.world(), visit.now()
    view = group_views.find(world, name, now)
    row = view.row
    around = next(one for one in environments.list_all(world) if one.id == row.environment_id)
    before = request.args.get("before")
    decisions = scaling_history.page_of_decisions(world, row.id, before=before, limit=PAGE + 1)
    machines = group_views.page_of_machines(world, row.id, before=None, limit=PAGE)
    older = f"?before={decisions[PAGE - 1].id}" if len(decisions) > PAGE else ""
    shown = {
        "card": present.card(view, now),
        "row": row,
        "environment": around,
        "decisions": [scaling.decision_row(one, row.name) for one in decisions[:PAGE]],
        "older": older,
        "is_older": before is not None,
        "cloud_machines": [present.machine_row(one, row.boot_grace_s, "", now) for one in machines],
        "runs": [
            run_row(one, now)
            for one in stack_run_views.newest_runs(world, [row.stack], limit=MOST_RUNS)
        ],
        "config": render_config(row.cloud, row.region, row.inputs) if _may() else "",
        "errors": errors,
        "form": request.form,
    }
    return render_template("worker_group.html", place="environments", **shown)


def _may() -> bool:
    return visit.caller().is_admin
