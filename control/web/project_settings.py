"""A project's settings: about it, its repository, variables and members; secrets are write-only."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from control.domain.errors import Invalid
from control.domain.roles import Role
from control.services import environments, members, projects, repositories, variables
from control.services.repositories import RepositoryChange
from control.web import formats, toasts, visit
from control.web.faults import by_field
from control.web.presenters.frames import project_frame, project_url

blueprint = Blueprint("project_settings", __name__, url_prefix="/projects/<project_id>/settings")


@blueprint.get("/")
def show(project_id: str) -> str:
    """Show all settings."""
    return _page(project_id, {})


@blueprint.post("/about/")
def save_about(project_id: str) -> ResponseReturnValue:
    """Save name, description, configuration path and default environment."""
    form = request.form
    changes = {name: form.get(name, "").strip() for name in ("name", "description", "yaml_path")}
    changes["default_environment"] = form.get("default_environment", "")

    def work() -> str:
        projects.update(visit.world(), visit.caller(), project_id, changes, visit.now())
        return "Saved."

    return _do(project_id, work)


@blueprint.post("/repository/")
def save_repository(project_id: str) -> ResponseReturnValue:
    """Link, change or unlink the repository; what can be reached at once is fetched at once."""
    form = request.form
    change = RepositoryChange(
        url=form.get("url", "").strip(),
        ref=form.get("ref", "").strip() or "main",
        access=form.get("access") or None,
        username=form.get("username", "").strip() or None,
        token=form.get("token", "").strip() or None,
        new_key="new_key" in form,
    )

    def work() -> str:
        row = repositories.set_repository(
            visit.world(), visit.caller(), project_id, change, visit.now()
        )
        if row is None:
            return "Unlinked the repository."
        if row.access == "deploy_key" and (row.fetched_at is None or change.new_key):
            return "Saved. Add the deploy key below to the repository, then fetch."
        return f"Saved the repository. {_fetch(project_id)}"

    return _do(project_id, work)


@blueprint.post("/fetch/")
def fetch(project_id: str) -> ResponseReturnValue:
    """Bring new commits in."""
    return _do(project_id, lambda: _fetch(project_id))


@blueprint.post("/variables/")
def save_variable(project_id: str) -> ResponseReturnValue:
    """Set a variable."""
    form = request.form
    variable = (form.get("name", "").strip(), form.get("value", ""), "is_secret" in form)

    def work() -> str:
        variables.set_variable(visit.world(), visit.caller(), project_id, variable, visit.now())
        return f"Saved {variable[0]}."

    return _do(project_id, work, "variable.")


@blueprint.post("/variables/delete/")
def delete_variable(project_id: str) -> ResponseReturnValue:
    """Delete a variable."""
    name = request.form.get("name", "")

    def work() -> str:
        variables.delete_variable(visit.world(), visit.caller(), project_id, name, visit.now())
        return f"Deleted {name}."

    return _do(project_id, work)


@blueprint.post("/members/")
def save_member(project_id: str) -> ResponseReturnValue:
    """Give somebody a role, or take it away."""
    username, role = request.form.get("username", "").strip(), request.form.get("role") or None

    def work() -> str:
        members.set_member(visit.world(), visit.caller(), project_id, username, role, visit.now())
        return f"{username} is now {role}." if role else f"Removed {username}."

    return _do(project_id, work, "member.")


@blueprint.post("/delete/")
def delete(project_id: str) -> ResponseReturnValue:
    """Delete the project when its name was typed."""
    view = projects.find(visit.world(), visit.caller(), project_id)
    if request.form.get("name", "").strip() != view.row.name:
        wrong = {"delete.name": f"Type {view.row.name} to delete the project."}
        return _page(project_id, wrong), 400
    projects.delete(visit.world(), visit.caller(), project_id, visit.now())
    toasts.say(f"Deleted the project {view.row.name}.")
    return visit.see_other("/")


def _fetch(project_id: str) -> str:
    outcome = repositories.fetch(visit.world(), visit.caller(), project_id, visit.now())
    for warning in outcome.errors:
        toasts.say(warning)
    return f"Fetched {formats.plural(len(outcome.commits), 'new commit')}."


def _do(project_id: str, work: Callable[[], str], prefix: str = "") -> ResponseReturnValue:
    """Do it and say so, or show the settings again with what is wrong."""
    try:
        toasts.say(work())
    except Invalid as error:
        wrong = {prefix + field: text for field, text in by_field(error).items()}
        return _page(project_id, wrong), 400
    return visit.see_other(f"{project_url(project_id)}settings/")


def _page(project_id: str, errors: dict[str, str]) -> str:
    world, caller = visit.world(), visit.caller()
    view = projects.find(world, caller, project_id)
    shown = {
        "project": project_frame(view.row, view.role, caller, "Settings"),
        "row": view.row,
        "owner": view.owner,
        "repository": view.repository,
        "variables": variables.list_variables(world, caller, project_id),
        "members": members.list_members(world, caller, project_id),
        "environments": environments.list_all(world),
        "roles": [role.value for role in Role],
    }
    return render_template("project_settings.html", errors=errors, form=request.form, **shown)
