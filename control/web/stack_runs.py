"""A run of the engine, live: each step, how it ended, and the button that interrupts it."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from control.domain.errors import Conflict, Forbidden
from control.services import stack_run_views, stack_runs
from control.web import toasts, visit
from control.web.presenters.groups import group_url
from control.web.presenters.stack_runs import event_row, run_row, run_url

blueprint = Blueprint("stack_runs", __name__, url_prefix="/stack-runs/<run_id>")
MOST_EVENTS = 300


@blueprint.get("/")
def show(run_id: str) -> str:
    """Show a run with its last events; to htmx what changes alone."""
    _administrators_only()
    row = stack_run_views.find(visit.world(), run_id)
    events = stack_run_views.last_events(visit.world(), run_id, limit=MOST_EVENTS)
    shown = {
        "run": run_row(row, visit.now()),
        "group": row.group or "",
        "group_url": group_url(row.group) if row.group else "",
        "events": [event_row(one) for one in events],
        "event_count": stack_run_views.count_events(visit.world(), run_id),
    }
    is_part = bool(request.headers.get("HX-Request"))
    name = "parts/stack_run.html" if is_part else "stack_run.html"
    return render_template(name, place="environments", **shown)


@blueprint.post("/stop/")
def stop(run_id: str) -> ResponseReturnValue:
    """Interrupt it and stay."""
    _administrators_only()
    try:
        stack_runs.request_stop(visit.world(), run_id, visit.caller().username)
        toasts.say("The engine is asked to stop; it ends the step it is at.")
    except Conflict as error:
        toasts.say(error.message)
    return visit.see_other(run_url(run_id))


def _administrators_only() -> None:
    if not visit.caller().is_admin:
        raise Forbidden("Only an administrator sees runs of the engine.")
