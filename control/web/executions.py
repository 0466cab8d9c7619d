"""The executions of a project as a list, and what is done with several of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue

from control.domain.errors import TalkootError
from control.domain.states import Status
from control.services import environments, executions, members, submissions
from control.services.executions import ExecutionView
from control.web import formats, toasts, visit
from control.web.presenters.executions import SHOWN_METRICS, lines, metric_keys
from control.web.presenters.filters import PAGE, Filters, read_filters
from control.web.presenters.frames import execution_url, project_url
from control.web.presenters.status import FILTERS
from control.web.projects import frame_of

blueprint = Blueprint("executions", __name__)
MOST_REASONS = 10


@blueprint.get("/projects/<project_id>/executions/")
def list_executions(project_id: str) -> ResponseReturnValue:
    """Show a page of the list; to htmx the table alone, with the address it stands for."""
    filters = read_filters(request.args, request.args.getlist)
    shown = _table(project_id, filters)
    if request.headers.get("HX-Request"):
        answer = make_response(render_template("parts/executions.html", **shown))
        if request.headers.get("HX-Trigger") == "filters":
            answer.headers["HX-Push-Url"] = shown["here"]
        return answer
    return render_template("executions.html", **shown, **_choices(project_id))


@blueprint.post("/projects/<project_id>/executions/selected/")
def act_on_selected(project_id: str) -> ResponseReturnValue:
    """Stop, copy, tag or delete each that was selected, and say what could not be done."""
    action = _ACTIONS.get(request.form.get("do", ""))
    if request.form.get("do") == "tag" and not request.form.get("tags", "").strip(" ,"):
        toasts.say("Type the tag to add beside its button.")
    elif action is not None:
        act, word = action
        done = 0
        for execution_id in request.form.getlist("id")[:PAGE]:
            try:
                act(execution_id)
                done += 1
            except TalkootError as error:
                toasts.say(error.message)
        toasts.say(f"{word} {formats.plural(done, 'execution')}.")
    return visit.see_other(f"{project_url(project_id)}executions/")


def stop(execution_id: str) -> str:
    """Stop one; the words of the service."""
    view = executions.find(visit.world(), visit.caller(), execution_id)
    return executions.request_stop(visit.world(), visit.caller(), view, visit.now())


def copy(execution_id: str) -> str:
    """Run a copy; its address."""
    view = executions.find(visit.world(), visit.caller(), execution_id)
    made = submissions.copy(visit.world(), visit.caller(), view, {}, visit.now())
    return execution_url(made.row.id)


def tag(execution_id: str) -> None:
    """Add the tags that were typed, separated by commas; what is there stays."""
    tags = [one.strip() for one in request.form.get("tags", "").split(",") if one.strip()]
    view = executions.find(visit.world(), visit.caller(), execution_id)
    executions.add_tags(visit.world(), visit.caller(), view, tags, visit.now())


def delete(execution_id: str) -> None:
    """Hide one that has ended."""
    view = executions.find(visit.world(), visit.caller(), execution_id)
    executions.delete(visit.world(), visit.caller(), view, visit.now())


_ACTIONS = {
    "stop": (stop, "Stopping"),
    "copy": (copy, "Copied"),
    "tag": (tag, "Tagged"),
    "delete": (delete, "Deleted"),
}


def _table(project_id: str, filters: Filters) -> dict[str, object]:
    page = executions.list_page(visit.world(), visit.caller(), filters.query(project_id))
    views = page.views[:PAGE]
    known = metric_keys(views)
    usual = tuple(known[:SHOWN_METRICS])
    chosen = filters.metrics or usual
    if chosen == usual:  # the form sends what is shown; only a choice belongs into the address
        filters = replace(filters, metrics=())
    path = f"{project_url(project_id)}executions/"
    has_older = len(page.views) > PAGE
    return {
        "project": frame_of(project_id, "Executions"),
        "filters": filters,
        "lines": lines(views, chosen, _waits(views), visit.now()),
        "metrics": chosen,
        "known_metrics": known,
        "count": page.count,
        "here": filters.url(path),
        "newest": filters.url(path, before=None),
        "older": filters.url(path, before=views[-1].row.counter) if has_older else "",
    }


def _waits(views: Sequence[ExecutionView]) -> dict[str, str]:
    """Why those of a page wait that are seen first; each costs two questions to the queue."""
    waiting = [view for view in views if view.row.status in (Status.CREATED, Status.QUEUED)]
    found = {
        view.row.id: executions.wait_reason(visit.world(), view, visit.now())
        for view in waiting[:MOST_REASONS]
    }
    return {execution_id: reason for execution_id, reason in found.items() if reason}


def _choices(project_id: str) -> dict[str, object]:
    return {
        "statuses": {key: word for key, (word, _) in FILTERS.items()},
        "environments": environments.list_all(visit.world()),
        "members": members.list_members(visit.world(), visit.caller(), project_id),
    }
