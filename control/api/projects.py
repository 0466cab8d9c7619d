"""Projects, their variables and members (client-contract.md 2.2)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from control.api.answers import answer, empty
from control.api.auth import now, signed_in, world
from control.api.bodies import Body, read_body
from control.api.paging import page, window
from control.api.presenters import projects as present
from control.domain.roles import Caller
from control.services import members, projects, repositories, variables
from control.services.repositories import RepositoryChange

blueprint = Blueprint("projects", __name__, url_prefix="/projects")


@blueprint.get("/")
@signed_in
def list_projects(caller: Caller) -> Response:
    """List the projects the caller may read, by name."""
    where, name = window(), request.args.get("name", "")
    views, count = projects.list_page(
        world(), caller, name=name, limit=where.limit, offset=where.offset
    )
    return page([present.project(view, caller) for view in views], where, count)


@blueprint.post("/")
@signed_in
def create(caller: Caller) -> Response:
    """Create a project."""
    body = read_body()
    name = body.text("name", is_required=True)
    description, owner = body.text("description"), body.optional_text("owner")
    body.check()
    view = projects.create(world(), caller, name, now(), description=description, owner=owner)
    return answer(_detail(caller, view), 201)


@blueprint.get("/ownership_options/")
@signed_in
def ownership_options(caller: Caller) -> Response:
    """List who may own a project that the caller creates."""
    return answer(projects.ownership_options(world(), caller))


@blueprint.get("/<project_id>/")
@signed_in
def show(caller: Caller, project_id: str) -> Response:
    """Show a project with its counts and variables."""
    return answer(_detail(caller, projects.find(world(), caller, project_id)))


@blueprint.route("/<project_id>/", methods=["PUT", "PATCH"])
@signed_in
def update(caller: Caller, project_id: str) -> Response:
    """Change what is named, the repository included; everything else stays."""
    body = read_body()
    changes = _changes(body)
    link = _repository_change(body) if "repository" in body else None
    body.check()
    if changes:
        projects.update(world(), caller, project_id, changes, now())
    if link is not None:
        repositories.set_repository(world(), caller, project_id, link, now())
    return answer(_detail(caller, projects.find(world(), caller, project_id)))


@blueprint.delete("/<project_id>/")
@signed_in
def delete(caller: Caller, project_id: str) -> Response:
    """Delete a project in which nothing runs."""
    projects.delete(world(), caller, project_id, now())
    return empty()


@blueprint.post("/<project_id>/fetch/")
@signed_in
def fetch(caller: Caller, project_id: str) -> Response:
    """Bring the repository's new commits in."""
    outcome = repositories.fetch(world(), caller, project_id, now())
    new = [{"ref": ref, "identifier": identifier} for ref, identifier in outcome.commits]
    return answer({"commits": new, "errors": list(outcome.errors)})


@blueprint.post("/<project_id>/environment_variable/")
@signed_in
def set_variable(caller: Caller, project_id: str) -> Response:
    """Create or replace a variable."""
    body = read_body()
    name, value = body.text("name", is_required=True), body.text("value")
    is_secret = body.flag("secret", default=False)
    body.check()
    variables.set_variable(world(), caller, project_id, (name, value, is_secret), now())
    return answer({"name": name, "value": None if is_secret else value, "secret": is_secret}, 201)


@blueprint.delete("/<project_id>/environment_variable/")
@signed_in
def delete_variable(caller: Caller, project_id: str) -> Response:
    """Delete a variable."""
    body = read_body()
    name = body.text("name", is_required=True)
    body.check()
    variables.delete_variable(world(), caller, project_id, name, now())
    return empty()


@blueprint.get("/<project_id>/members/")
@signed_in
def list_members(caller: Caller, project_id: str) -> Response:
    """List the people of a project."""
    rows = members.list_members(world(), caller, project_id)
    return page([present.member(row) for row in rows], window(), len(rows))


@blueprint.post("/<project_id>/members/")
@signed_in
def set_member(caller: Caller, project_id: str) -> Response:
    """Give somebody a role."""
    body = read_body()
    username, role = body.text("username", is_required=True), body.text("role", is_required=True)
    body.check()
    members.set_member(world(), caller, project_id, username, role, now())
    return answer({"username": username, "role": role}, 201)


@blueprint.delete("/<project_id>/members/")
@signed_in
def remove_member(caller: Caller, project_id: str) -> Response:
    """Take somebody's role away."""
    body = read_body()
    username = body.text("username", is_required=True)
    body.check()
    members.set_member(world(), caller, project_id, username, None, now())
    return empty()


def _detail(caller: Caller, view: projects.ProjectView) -> dict[str, Any]:
    shown = variables.list_variables(world(), caller, view.row.id)
    return present.detail(view, caller, shown)


def _changes(body: Body) -> dict[str, Any]:
    names = ("name", "description", "yaml_path")
    changes: dict[str, Any] = {name: body.text(name) for name in names if name in body}
    if "default_environment" in body:
        changes["default_environment"] = body.optional_text("default_environment")
    return changes


def _repository_change(body: Body) -> RepositoryChange:
    given = Body(body.mapping("repository"))
    change = RepositoryChange(
        **{
            name: given.text(name) if name in given else None
            for name in ("url", "ref", "access", "username", "token")
        },
        new_key=given.flag("new_key", default=False),
    )
    for error in given.errors:
        body.wrong(f"repository.{error.field}", error.message, error.code)
    return change
