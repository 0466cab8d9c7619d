"""Environments: what waits there, which machines serve it, and why there are so many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from control.database.rows import AnyRow
from control.domain.errors import Forbidden, NotFound
from control.domain.scaling.state import MachineState
from control.services import (
    environments,
    group_views,
    scaling_history,
    stack_run_views,
    workers,
)
from control.services.group_views import GroupView
from control.web import visit
from control.web.presenters import groups as of_groups
from control.web.presenters import scaling
from control.web.presenters.environments import machine, place
from control.web.presenters.stack_runs import run_row

blueprint = Blueprint("environments", __name__)
MOST_MACHINES = 30
MOST_WORKERS = 30
MOST_DECISIONS = 8
MOST_RUNS = 6
MOST_CONSOLES = 5


@blueprint.get("/environments/")
def list_environments() -> str:
    """List all environments with their workers' counts."""
    world, now = visit.world(), visit.now()
    places = [
        place(row, workers.list_for(world, row.id, now)) for row in environments.list_all(world)
    ]
    return render_template("environments.html", place="environments", places=places)


@blueprint.get("/environments/<slug>/")
def show(slug: str) -> str:
    """Show one environment, its machines and decisions; to htmx what changes, without the chart."""
    row = _find(slug)
    where = scaling.stretch(request.args.get("range"), visit.now())
    views = group_views.list_groups(visit.world(), visit.now(), row.id)
    shown = {**_of_workers(row), "row": row, "where": where, "ranges": scaling.RANGES}
    if views:
        shown |= _of_groups(row, views, where)
    is_part = bool(request.headers.get("HX-Request"))
    name = "parts/environment.html" if is_part else "environment.html"
    return render_template(name, place="environments", **shown)


@blueprint.get("/environments/<slug>/scaling.json")
def scaling_json(slug: str) -> ResponseReturnValue:
    """Answer the chart's columns."""
    row = _find(slug)
    where = scaling.stretch(request.args.get("range"), visit.now())
    views = group_views.list_groups(visit.world(), visit.now(), row.id)
    return scaling.columns(
        _lines(views, where, scaling_history.MOST_POINTS), _values_now(row, views)
    )


@blueprint.get("/machines/<machine_id>/console/")
def console(machine_id: str) -> Response:
    """Answer what is kept of a machine's console, as text, to an administrator."""
    if not visit.caller().is_admin:
        raise Forbidden("Only an administrator reads a machine's console.")
    row = group_views.find_machine(visit.world(), machine_id)
    if not row.console:
        raise NotFound("Nothing is kept of this machine's console.")
    return Response(row.console, mimetype="text/plain")


def _find(slug: str) -> AnyRow:
    found = environments.list_all(visit.world())
    row = next((one for one in found if slug in (one.slug, one.id)), None)
    if row is None:
        raise NotFound(f"There is no environment '{slug}'.")
    return row


def _of_workers(row: AnyRow) -> dict[str, Any]:
    found = workers.list_for(visit.world(), row.id, visit.now())
    first = sorted(found, key=lambda one: (one.status == "left", not one.executions))
    return {
        "one": place(row, found),
        "sentence": place(row, found).sentence,
        "machines": [machine(each) for each in first[:MOST_WORKERS]],
        "worker_count": len(found),
    }


def _of_groups(row: AnyRow, views: Sequence[GroupView], where: scaling.Stretch) -> dict[str, Any]:
    world, now = visit.world(), visit.now()
    ids = [one.row.id for one in views]
    lines = _lines(views, where, scaling.MOST_ROWS)
    values = _values_now(row, views)
    decisions = scaling_history.newest_decisions(world, ids, limit=MOST_DECISIONS)
    runs = stack_run_views.newest_runs(world, [one.row.stack for one in views], limit=MOST_RUNS)
    return {
        "groups": [of_groups.card(one, now) for one in views],
        "values": values,
        "sentence": of_groups.sentence(row.is_enabled, values, views),
        "cost_per_hour": sum(one.live * one.row.price_per_hour_usd for one in views),
        "words": scaling.in_words(lines, where),
        "table": scaling.table(lines),
        "decisions": [scaling.decision_row(one, one.group) for one in decisions],
        "cloud_machines": _machines(views),
        "ready_count": sum(one.counts.get(MachineState.READY, 0) for one in views),
        "runs": [run_row(one, now) for one in runs],
    }


def _lines(views: Sequence[GroupView], where: scaling.Stretch, most: int) -> scaling_history.Lines:
    ids = [one.row.id for one in views]
    return scaling_history.lines(visit.world(), ids, where.since, where.until, most=most)


def _values_now(row: AnyRow, views: Sequence[GroupView]) -> dict[str, int]:
    waiting = environments.count_waiting(visit.world(), row.id)
    return {"queued": waiting, **of_groups.totals(views)}


def _machines(views: Sequence[GroupView]) -> list[of_groups.MachineRow]:
    world, now = visit.world(), visit.now()
    grace = {one.row.id: one.row.boot_grace_s for one in views}
    places = [(one.row.cloud, one.row.region) for one in views]
    rows = [
        *group_views.list_orphans(world, places, limit=MOST_MACHINES),
        *group_views.list_unready(world, list(grace), now, limit=MOST_MACHINES),
    ][:MOST_MACHINES]
    read = [row.id for row in rows if row.has_console][:MOST_CONSOLES]
    consoles = group_views.consoles(world, read) if visit.caller().is_admin else {}
    return [
        of_groups.machine_row(one, grace.get(one.group_id, 0), consoles.get(one.id, ""), now)
        for one in rows
    ]
