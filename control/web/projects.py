"""Projects: the first page, making one, and pages that many others extend."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from control.domain.errors import Invalid
from control.services import activity, executions, projects
from control.web import visit
from control.web.faults import by_field
from control.web.presenters.frames import ProjectFrame, project_frame, project_url
from control.web.presenters.projects import card, days_of_week, week

blueprint = Blueprint("projects", __name__)
RECENT = 10
PAGE = 40
REST = (0,) * 7


@blueprint.get("/")
@blueprint.get("/projects/")
def list_projects() -> ResponseReturnValue:
    """List the caller's projects with what runs and how the last ones ended."""
    name, asked = request.args.get("q", "").strip(), request.args.get("start", "")
    start = int(asked) if asked.isdecimal() and len(asked) < 10 else 0
    views, count = projects.list_page(
        visit.world(), visit.caller(), name=name, limit=PAGE, offset=start
    )
    days = days_of_week(visit.now())
    ids = [view.row.id for view in views]
    made = activity.by_day(visit.world(), ids, days)
    newest = executions.newest_of(visit.world(), ids, RECENT)
    shown = {
        "cards": [
            card(view, newest.get(view.row.id, []), week(days, made.get(view.row.id, REST)))
            for view in views
        ],
        "count": count,
        "q": name,
        "start": start,
    }
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
