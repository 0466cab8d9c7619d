"""Datums and their aliases (client-contract.md 2.6); uploads are ours, in two steps."""

from __future__ import annotations

from flask import Blueprint, Response, request

from control.api.answers import absolute, answer
from control.api.auth import now, signed_in, world
from control.api.bodies import read_body
from control.api.paging import flag, page, window
from control.api.presenters import datums as present
from control.domain.errors import Invalid
from control.domain.roles import Caller
from control.services import datums
from control.services.datums import DatumQuery

blueprint = Blueprint("datums", __name__)


@blueprint.get("/data/")
@signed_in
def list_datums(caller: Caller) -> Response:
    """List stored datums of an execution, a project, or all the caller may read."""
    where, given = window(), request.args
    query = DatumQuery(
        project_id=given.get("project") or None,
        execution_id=given.get("output_execution") or None,
        name=given.get("name", ""),
        ordering=given.get("ordering", "-ctime"),
        limit=where.limit,
        offset=where.offset,
        wants_count=where.wants_count,
    )
    if flag("deleted", default=False):
        return page([], where, 0)
    views, count = datums.list_page(world(), caller, query)
    return page([present.datum(view) for view in views], where, count)


@blueprint.post("/data/")
@signed_in
def start_upload(caller: Caller) -> Response:
    """Promise a datum and say where its bytes go."""
    body = read_body()
    project_id = body.text("project", is_required=True)
    name, sha256 = body.text("name", is_required=True), body.text("sha256", is_required=True)
    size = body.whole("size", -1)
    body.check()
    view, upload = datums.start_upload(world(), caller, project_id, (name, size, sha256), now())
    where = {
        "method": upload.method,
        "url": absolute(upload.url),
        "headers": dict(upload.headers),
    }
    return answer({"datum": present.datum(view), "upload": where}, 201)


@blueprint.post("/data/<datum_id>/confirm/")
@signed_in
def confirm_upload(caller: Caller, datum_id: str) -> Response:
    """Make an uploaded datum real."""
    return answer(present.datum(datums.confirm_upload(world(), caller, datum_id, now())))


@blueprint.get("/data/<datum_id>/")
@signed_in
def show(caller: Caller, datum_id: str) -> Response:
    """Show a datum."""
    return answer(present.datum(datums.find(world(), caller, datum_id)))


@blueprint.get("/data/<datum_id>/download/")
@signed_in
def download(caller: Caller, datum_id: str) -> Response:
    """Answer an address that carries its own, short-lived right."""
    view = datums.find(world(), caller, datum_id)
    return answer({"url": absolute(datums.download_url(world(), view))})


@blueprint.post("/data/<datum_id>/purge/")
@signed_in
def purge(caller: Caller, datum_id: str) -> Response:
    """Delete a datum's bytes; its record stays."""
    body = read_body()
    force = body.flag("force", default=False)
    body.check()
    return answer(present.datum(datums.purge(world(), caller, datum_id, now(), force=force)))


@blueprint.get("/datum-aliases/")
@signed_in
def list_aliases(caller: Caller) -> Response:
    """List aliases."""
    where = window()
    views = datums.list_aliases(
        world(),
        caller,
        project_id=request.args.get("project") or None,
        ordering=request.args.get("ordering", "-ctime"),
        limit=where.limit,
        offset=where.offset,
    )
    return page([present.alias(view) for view in views], where, None)


@blueprint.post("/datum-aliases/")
@signed_in
def set_alias(caller: Caller) -> Response:
    """Let an alias name a datum."""
    body = read_body()
    name, datum_id = body.text("name", is_required=True), body.text("datum", is_required=True)
    body.check()
    return answer(present.datum(datums.set_alias(world(), caller, datum_id, name, now())), 201)


@blueprint.get("/datum-aliases/resolve/")
@signed_in
def resolve_alias(caller: Caller) -> Response:
    """Find the datum that an alias names."""
    project_id, name = request.args.get("project", ""), request.args.get("name", "")
    if not project_id or not name:
        raise Invalid.one("project" if not project_id else "name", "This is required.", "required")
    return answer({"datum": present.datum(datums.resolve(world(), caller, project_id, name))})
