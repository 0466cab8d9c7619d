"""The form that runs a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Row

from control.domain.errors import Forbidden, Invalid, NotFound
from control.domain.steps import step_names
from control.services import (
    commits,
    datums,
    environments,
    executions,
    projects,
    submissions,
    workers,
)
from control.services.commits import CommitQuery
from control.services.datums import DatumQuery, DatumView
from control.web import visit
from control.web.faults import by_field
from control.web.presenters.environments import Choice, choice, default_choice
from control.web.presenters.frames import execution_url, project_frame
from control.web.presenters.invocation import Invocation, command
from control.web.presenters.run_form import chosen_of, request_of, run_form

blueprint = Blueprint("new_execution", __name__, url_prefix="/projects/<project_id>/new")
MOST_COMMITS = 50
MOST_FILES = 50
"""How many of the newest files an input can be chosen from."""


@blueprint.get("/")
def show(project_id: str) -> str:
    """Show the form of a step, with the choices of the execution named by `copy`."""
    if "copy" not in request.args:
        return _page(project_id, request.args, None)
    view = executions.find(visit.world(), visit.caller(), request.args["copy"])
    where = {
        "commit": view.commit.identifier,
        "step": view.row.step,
        "environment": view.environment.slug,
    }
    return _page(project_id, where, chosen_of(view.row))


@blueprint.post("/")
def run(project_id: str) -> ResponseReturnValue:
    """Run it, or show the form again with everything that is wrong."""
    form = request.form
    world, caller = visit.world(), visit.caller()
    commit = commits.find(world, caller, form.get("commit", ""), project_id=project_id)
    try:
        step = commits.step_of(world, commit, form.get("step", ""))
        wanted = request_of(project_id, commit.identifier, step, form)
        made = submissions.create(world, caller, wanted, visit.now())
    except Invalid as error:
        return _page(project_id, form, form, errors=by_field(error)), 400
    return visit.see_other(execution_url(made.row.id))


def _page(
    project_id: str,
    where: Mapping[str, str],
    chosen: Mapping[str, str] | None,
    errors: dict[str, str] | None = None,
) -> str:
    view = projects.find(visit.world(), visit.caller(), project_id)
    frame = project_frame(view.row, view.role, visit.caller())
    if not frame.may_run:
        raise Forbidden("A reader of this project sees everything and runs nothing.")
    query = CommitQuery(project_id=project_id, limit=MOST_COMMITS, wants_count=False)
    found, _ = commits.list_page(visit.world(), visit.caller(), query)
    shown: dict[str, Any] = {"project": frame, "commits": found, "errors": errors or {}}
    shown |= {"chosen": chosen or {}, "where": where, "form": None, "faults": [], "steps": []}
    commit = _commit(project_id, where.get("commit", ""), found)
    if commit is not None:
        shown |= _of_commit(view.row, commit, where, chosen)
    return render_template("new_execution.html", **shown)


def _commit(project_id: str, wanted: str, found: list[Row[Any]]) -> Row[Any] | None:
    if not wanted:
        return found[0] if found else None
    return commits.find(visit.world(), visit.caller(), wanted, project_id=project_id)


def _of_commit(
    project: Row[Any], commit: Row[Any], where: Mapping[str, str], chosen: Mapping[str, str] | None
) -> dict[str, Any]:
    config, faults = commits.config_of(visit.world(), commit)
    names = step_names(config)
    shown: dict[str, Any] = {"commit": commit, "steps": names, "faults": commits.describe(faults)}
    name = where.get("step") or (names[0] if names else "")
    if not name:
        return shown
    if name not in names:
        raise NotFound(f"Commit {commit.identifier[:10]} has no step '{name}'.")
    step = commits.step_of(visit.world(), commit, name)
    invocation = Invocation(step.name, commit=commit.identifier[:12])
    choices = _environments()
    usual = default_choice(choices, step.environment, project.default_environment_id)
    return {
        **shown,
        "form": run_form(step, chosen),
        "files": _files(project.id) if step.inputs else [],
        "command": command(invocation),
        "environments": choices,
        "usual": usual,
        "environment": where.get("environment") or "",
    }


def _files(project_id: str) -> list[DatumView]:
    query = DatumQuery(project_id=project_id, limit=MOST_FILES, wants_count=False)
    found, _ = datums.list_page(visit.world(), visit.caller(), query)
    return [one for one in found if not one.row.is_purged]


def _environments() -> list[Choice]:
    world, now = visit.world(), visit.now()
    rows = environments.list_all(world, enabled_only=True)
    return [choice(row, workers.list_for(world, row.id, now)) for row in rows]
