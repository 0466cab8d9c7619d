"""Commits, packages of code, repositories (client-contract.md 2.4)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from control.api.answers import answer
from control.api.auth import now, signed_in, world
from control.api.bodies import Body
from control.api.paging import flag, page, wants, window
from control.api.presenters import commits as present
from control.api.presenters import projects as present_projects
from control.domain.errors import Invalid
from control.domain.roles import Caller
from control.services import commits, packages, repositories
from control.services.commits import CommitQuery

blueprint = Blueprint("commits", __name__)

PACKAGE_REQUEST_BYTES = packages.MAX_PACKAGE_BYTES + 1024 * 1024


@blueprint.get("/commits/")
@signed_in
def list_commits(caller: Caller) -> Response:
    """List commits of a project, or of all the caller may read; newest first."""
    where = window()
    query = CommitQuery(
        project_id=request.args.get("project") or None,
        adhoc=flag("adhoc", default=None),
        ordering=request.args.get("ordering", "-commit_time"),
        limit=where.limit,
        offset=where.offset,
        wants_count=where.wants_count,
    )
    rows, count = commits.list_page(world(), caller, query)
    return page([present.commit(row) for row in rows], where, count)


@blueprint.get("/commits/<path:lookup>/")
@signed_in
def show(caller: Caller, lookup: str) -> Response:
    """Show a commit by hash, ~hash, internal id, ref or prefix."""
    row = commits.find(world(), caller, lookup, project_id=request.args.get("project") or None)
    shown = present.commit(row)
    if wants("config", default=False):
        config, errors = commits.config_of(world(), row)
        shown |= {"config": config or [], "config_errors": errors}
    return answer(shown)


@blueprint.get("/projects/<project_id>/commits/")
@signed_in
def list_of_project(caller: Caller, project_id: str) -> Response:
    """List a project's commits as a bare list of flat rows."""
    where = window()
    query = CommitQuery(project_id, limit=where.limit, offset=where.offset, wants_count=False)
    rows, _ = commits.list_page(world(), caller, query)
    return answer([present.flat_commit(row) for row in rows])


@blueprint.post("/projects/<project_id>/import-package/")
@signed_in
def import_package(caller: Caller, project_id: str) -> Response:
    """Take a package of code; the same bytes again are the same commit."""
    packages.check_right(world(), caller, project_id)
    request.max_content_length = PACKAGE_REQUEST_BYTES
    upload = request.files.get("data")
    if upload is None:
        raise Invalid.one("data", "Send the package as the file `data`.", "required")
    body = Body(request.form.to_dict())
    about = packages.About(body.text("description"), body.optional_text("yaml_path"))
    body.check()
    row, is_new = packages.import_package(world(), caller, project_id, upload.stream, about, now())
    return answer(present.commit(row), 201 if is_new else 200)


@blueprint.get("/repositories/")
@signed_in
def list_repositories(caller: Caller) -> Response:
    """List the repositories of the projects the caller may read."""
    rows = repositories.list_visible(world(), caller)
    return page([present_projects.repository(row) for row in rows], window(), len(rows))
