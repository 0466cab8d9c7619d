"""Executions (client-contract.md 2.5)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from control.api.answers import answer, empty
from control.api.auth import now, signed_in, world
from control.api.bodies import read_body
from control.api.execution_requests import execution_query, execution_request, overrides
from control.api.paging import page, wants, window
from control.api.presenters import datums as present_datums
from control.api.presenters import executions as present
from control.domain.roles import Action, Caller
from control.services import datums, executions, logs, submissions
from control.services.executions import ExecutionView

blueprint = Blueprint("executions", __name__, url_prefix="/executions")


@blueprint.get("/")
@signed_in
def list_executions(caller: Caller) -> Response:
    """List executions, filtered."""
    where = window()
    query = execution_query(where)
    if query is None:
        return page([], where, 0)
    found = executions.list_page(world(), caller, query)
    return page([_listed(view) for view in found.views], where, found.count)


@blueprint.post("/")
@signed_in
def create(caller: Caller) -> Response:
    """Run a step."""
    body = read_body()
    wanted = execution_request(body)
    body.check()
    view = submissions.create(world(), caller, wanted, now())
    return answer(_created(view), 201)


@blueprint.get("/<lookup>/")
@signed_in
def show(caller: Caller, lookup: str) -> Response:
    """Show an execution by id, `project:counter` or `project:latest`."""
    return answer(_detail(executions.find(world(), caller, lookup)))


@blueprint.delete("/<lookup>/")
@signed_in
def delete(caller: Caller, lookup: str) -> Response:
    """Hide an execution that has ended."""
    view = executions.find(world(), caller, lookup, action=Action.RUN)
    executions.delete(world(), caller, view, now())
    return empty()


@blueprint.post("/<lookup>/stop/")
@signed_in
def stop(caller: Caller, lookup: str) -> Response:
    """Stop an execution; one that has ended is left as it is."""
    view = executions.find(world(), caller, lookup, action=Action.RUN)
    return answer({"message": executions.request_stop(world(), caller, view, now())})


@blueprint.post("/<lookup>/copy/")
@signed_in
def copy(caller: Caller, lookup: str) -> Response:
    """Run it again, with what the body changes."""
    view = executions.find(world(), caller, lookup, action=Action.RUN)
    body = read_body()
    changes = overrides(body)
    body.check()
    return answer(_created(submissions.copy(world(), caller, view, changes, now())), 201)


@blueprint.post("/<lookup>/tags/")
@signed_in
def add_tags(caller: Caller, lookup: str) -> Response:
    """Add tags."""
    view = executions.find(world(), caller, lookup, action=Action.RUN)
    body = read_body()
    tags = body.texts("tags")
    body.check()
    return answer({"tags": list(executions.add_tags(world(), caller, view, tags, now()))})


@blueprint.get("/<lookup>/metadata/")
@signed_in
def metadata(caller: Caller, lookup: str) -> Response:
    """List metadata points, oldest first."""
    view = executions.find(world(), caller, lookup)
    return answer(executions.metadata_points(world(), view.row.id))


@blueprint.get("/<lookup>/outputs/")
@signed_in
def outputs(caller: Caller, lookup: str) -> Response:
    """List outputs as a bare list, with download addresses when asked."""
    view = executions.find(world(), caller, lookup)
    found = datums.of_execution(world(), view.row.id)
    shown = [present_datums.datum(one) for one in found]
    if wants("download_url", default=False):
        for one, datum in zip(shown, found, strict=True):
            one["download_url"] = present_datums.download_url(world(), datum)
    return answer(shown)


def _listed(view: ExecutionView) -> dict[str, Any]:
    shown = present.execution(view, now())
    if wants("tags", default=True):
        shown["tags"] = view.row.tags
    return shown


def _created(view: ExecutionView) -> dict[str, Any]:
    return {**present.detail(view, now()), "outputs": [], "tags": view.row.tags}


def _detail(view: ExecutionView) -> dict[str, Any]:
    row, shown = view.row, present.detail(view, now())
    waits = executions.wait_reason(world(), view, now())
    if waits:
        shown["reason_text"] = waits
    parts: dict[str, tuple[bool, Any]] = {
        "tags": (True, lambda: row.tags),
        "cumulative_metadata": (True, lambda: row.cumulative_metadata),
        "outputs": (
            True,
            lambda: [present_datums.datum(one) for one in datums.of_execution(world(), row.id)],
        ),
        "metadata": (False, lambda: executions.metadata_points(world(), row.id)),
        "phases": (
            False,
            lambda: [present.phase(one) for one in executions.phases(world(), row.id)],
        ),
        "events": (
            False,
            lambda: [present.event(line) for line in logs.newest(world(), row, None).lines],
        ),
    }
    for name, (is_default, read) in parts.items():
        if wants(name, default=is_default):
            shown[name] = read()
    return {
        key: value for key, value in shown.items() if key in _ALWAYS or wants(key, default=True)
    }


_ALWAYS = frozenset({"id", "counter", "url", "urls", "status", "step", "project", "commit"})
