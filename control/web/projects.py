"""Projects: the first page, making one, and pages that many others extend."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from control.domain.errors import Invalid
from control.domain.executions import ExecutionQuery
from control.services import executions, projects
from control.web import visit
from control.web.faults import by_field
from control.web.presenters.frames import ProjectFrame, project_frame, project_url
from control.web.presenters.projects import Card, card

blueprint = Blueprint("projects", __name__)
RECENT = 14
MOST = 200


@blueprint.get("/")
@blueprint.get("/projects/")
def list_projects() -> ResponseReturnValue:
    """List the caller's projects with what runs and how the last ones ended."""
    name = request.args.get("q", "").strip()
    views, count = projects.list_page(visit.world(), visit.caller(), name=name, limit=MOST)
    shown = {"cards": [_card(view) for view in views], "count": count, "q": name}
    return render_template("projects.html", place="projects", **shown)


@blueprint.get("/projects/new/")
def new() -> str:
    """Show the form."""
    return render_template("project_new.html", place="projects", errors={}, form={})


@blueprint.post("/projects/new/")
def create() -> ResponseReturnValue:
    """Make a project and go on to linking its repository."""
    form = request.form
    try:
        view = projects.create(
            visit.world(),
            visit.caller(),
            form.get("name", "").strip(),
            visit.now(),
            description=form.get("description", ""),
        )
    except Invalid as error:
        shown = {"errors": by_field(error), "form": form}
        return render_template("project_new.html", place="projects", **shown), 400
    return visit.see_other(f"{project_url(view.row.id)}settings/")


@blueprint.get("/projects/<project_id>/")
def show(project_id: str) -> ResponseReturnValue:
    """A project's first page is its executions."""
    return redirect(f"{project_url(project_id)}executions/")


def frame_of(project_id: str, current: str = "") -> ProjectFrame:
    """Read the project a page belongs to. Raises NotFound."""
    view = projects.find(visit.world(), visit.caller(), project_id)
    return project_frame(view.row, view.role, visit.caller(), current)


def _card(view: projects.ProjectView) -> Card:
    query = ExecutionQuery(project_id=view.row.id, limit=RECENT, wants_count=False)
    recent = executions.list_page(visit.world(), visit.caller(), query).views
    return card(view, recent)
