"""One execution: its head, its tabs, and what can be done with it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from control.services import datums, executions, logs, workers
from control.services.executions import ExecutionView
from control.web import toasts, visit
from control.web.executions import copy, delete, stop
from control.web.presenters import metrics, outputs, reproduction
from control.web.presenters.executions import head
from control.web.presenters.frames import (
    EXECUTION_PAGES,
    execution_tabs,
    execution_url,
    project_url,
)
from control.web.presenters.log_lines import present
from control.web.projects import frame_of

blueprint = Blueprint("execution_pages", __name__, url_prefix="/executions/<execution_id>")
TAIL = 40


@blueprint.get("/")
def overview(execution_id: str) -> str:
    """Answer the four questions in the first screen: running, why not, what came out, how long."""
    view = find(execution_id)
    shown = {**_page(view, "Overview"), **_results(view), "is_bare": _is_bare(view)}
    return render_template("execution_overview.html", **shown)


@blueprint.get("/head/")
def refresh_head(execution_id: str) -> str:
    """Answer the head alone, for a live page."""
    words = {word for word, _ in EXECUTION_PAGES}
    current = request.args.get("tab", "")
    shown = _page(find(execution_id), current if current in words else "Overview")
    return render_template("parts/execution_head.html", **shown)


@blueprint.get("/results/")
def refresh_results(execution_id: str) -> str:
    """Answer the results, what to do next and the facts, for a live page."""
    view = find(execution_id)
    shown = {**_page(view, "Overview"), **_results(view), "is_bare": _is_bare(view)}
    return render_template("parts/execution_live.html", **shown)


@blueprint.get("/metrics/")
def show_metrics(execution_id: str) -> str:
    """Show curves, and the last and extreme value of each metric."""
    view = find(execution_id)
    return render_template("execution_metrics.html", **_page(view, "Metrics"), **_metrics(view))


@blueprint.get("/metrics.json")
def metrics_json(execution_id: str) -> ResponseReturnValue:
    """Answer the series, down-sampled, for the curves (UI-1)."""
    points = executions.metadata_points(visit.world(), find(execution_id).row.id)
    return metrics.series(points)


@blueprint.get("/metrics.csv")
def metrics_csv(execution_id: str) -> Response:
    """Answer every point."""
    view = find(execution_id)
    points = executions.metadata_points(visit.world(), view.row.id)
    name = f"{view.project.name}-{view.row.counter}-metrics.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(metrics.csv_text(points), mimetype="text/csv", headers=headers)


@blueprint.get("/outputs/")
def show_outputs(execution_id: str) -> str:
    """List what was stored, with a look at pictures and short texts."""
    view = find(execution_id)
    found = datums.of_execution(visit.world(), view.row.id)
    files = outputs.files(visit.world(), found, with_text=True)
    return render_template("execution_outputs.html", **_page(view, "Outputs"), files=files)


@blueprint.get("/inputs/")
def show_inputs(execution_id: str) -> str:
    """Show what went in."""
    return render_template(
        "execution_inputs.html", **_page(find(execution_id), "Inputs and parameters")
    )


@blueprint.get("/machine/")
def show_machine(execution_id: str) -> str:
    """Show where it ran and how each phase went."""
    view = find(execution_id)
    phases = executions.phases(visit.world(), view.row.id)
    shown = {**_page(view, "Machine"), "phases": phases, "is_bare": _is_bare(view)}
    return render_template("execution_machine.html", **shown)


@blueprint.get("/reproduce/")
def show_reproduction(execution_id: str) -> str:
    """Show everything that is needed to do it again (EX-6)."""
    view = find(execution_id)
    shown = {
        "command": reproduction.client_command(view),
        "yaml": reproduction.step_yaml(view),
    }
    return render_template("execution_reproduce.html", **_page(view, "Reproduce"), **shown)


@blueprint.post("/stop/")
def stop_it(execution_id: str) -> ResponseReturnValue:
    """Stop it and stay."""
    toasts.say(stop(execution_id))
    return visit.see_other(execution_url(execution_id))


@blueprint.post("/copy/")
def copy_it(execution_id: str) -> ResponseReturnValue:
    """Run it again as it was and go there."""
    return visit.see_other(copy(execution_id))


@blueprint.post("/delete/")
def delete_it(execution_id: str) -> ResponseReturnValue:
    """Hide it and go back to the list."""
    view = find(execution_id)
    delete(execution_id)
    toasts.say(f"Deleted execution #{view.row.counter}.")
    return visit.see_other(f"{project_url(view.row.project_id)}executions/")


def find(execution_id: str) -> ExecutionView:
    """Read an execution the caller may see. Raises NotFound."""
    return executions.find(visit.world(), visit.caller(), execution_id)


def page_of(view: ExecutionView, current: str) -> dict[str, Any]:
    """What every page of an execution shows."""
    world, now = visit.world(), visit.now()
    phases = executions.phases(world, view.row.id)
    reason = executions.wait_reason(world, view, now)
    return {
        "view": view,
        "project": frame_of(view.row.project_id),
        "head": head(view, reason, phases, now),
        "tabs_of_execution": execution_tabs(view.row, current),
        "current": current,
    }


_page = page_of


def _metrics(view: ExecutionView) -> dict[str, Any]:
    points = executions.metadata_points(visit.world(), view.row.id)
    return {"summary": metrics.summary(points), "point_count": len(points)}


def _is_bare(view: ExecutionView) -> bool:
    """Say whether its worker runs steps as plain processes, as far as that is still known."""
    name = view.row.worker_name
    found = workers.list_for(visit.world(), view.environment.id, visit.now()) if name else ()
    return any(one.row.name == name and one.row.runtime == "process" for one in found)


def _results(view: ExecutionView) -> dict[str, Any]:
    found = datums.of_execution(visit.world(), view.row.id)
    last = logs.newest(visit.world(), view.row, TAIL)
    return {
        **_metrics(view),
        "files": outputs.files(visit.world(), found[:50]),
        "log_lines": present(last.lines),
        "log_total": last.total,
    }
