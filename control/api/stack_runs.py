"""Runs of the engine on stacks, for administrators: they name resources and people."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from control.api.answers import answer
from control.api.auth import signed_in, world
from control.api.paging import MAX_LIMIT, page_by_key, whole
from control.api.presenters import worker_groups as present
from control.domain.errors import Forbidden
from control.domain.roles import Caller
from control.services import stack_run_views, stack_runs

blueprint = Blueprint("stack_runs", __name__, url_prefix="/stack-runs")
EVENTS = 500


@blueprint.get("/")
@signed_in
def list_runs(caller: Caller) -> Response:
    """List runs, newest first; `stack` names one."""
    _administrators_only(caller)
    stack = request.args.get("stack")

    def read(before: str | None, limit: int) -> list[Any]:
        return stack_run_views.page_of_runs(world(), stack=stack, before=before, limit=limit)

    return page_by_key(read, present.run)


@blueprint.get("/<run_id>/")
@signed_in
def show(caller: Caller, run_id: str) -> Response:
    """Show a run with its events after number `after`; `next` is the number to go on from."""
    _administrators_only(caller)
    row = stack_run_views.find(world(), run_id)
    after, limit = max(0, whole("after", 0)), min(max(whole("limit", EVENTS), 1), MAX_LIMIT)
    events = stack_run_views.events_after(world(), run_id, after, limit=limit)
    shown = present.run(row) | {
        "group": row.group,
        "events": [present.event(one) for one in events],
        "next": events[-1].number if events else after,
    }
    return answer(shown)


@blueprint.post("/<run_id>/stop/")
@signed_in
def stop(caller: Caller, run_id: str) -> Response:
    """Ask the engine to stop; it ends the step it is at."""
    _administrators_only(caller)
    stack_runs.request_stop(world(), run_id, caller.username)
    return answer(present.run(stack_run_views.find(world(), run_id)))


def _administrators_only(caller: Caller) -> None:
    if not caller.is_admin:
        raise Forbidden("Only an administrator sees runs of the engine.")
