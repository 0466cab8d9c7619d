"""An execution's log as clients poll it (client-contract.md 2.5.3)."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
from flask import Blueprint, Response, request

from control.api.answers import answer
from control.api.auth import signed_in, world
from control.api.paging import whole
from control.api.presenters.executions import event
from control.domain.roles import Caller
from control.services import executions, logs
from control.services.executions import ExecutionView
from control.services.world import World

blueprint = Blueprint("events", __name__, url_prefix="/executions")

MAX_LINES = 10_000
PIECE = 5000
"""Lines read at once while a whole log is streamed."""


@blueprint.get("/<lookup>/events/")
@signed_in
def events(caller: Caller, lookup: str) -> Response:
    """Answer the newest lines, all of them with `limit=0`, or those after a number."""
    view = executions.find(world(), caller, lookup)
    if request.args.get("after"):
        return _after(view, whole("after", 0), whole("limit", PIECE))
    limit = whole("limit", -1)
    if limit == 0:
        return _whole_log(view)
    found = logs.newest(world(), view.row, None if limit < 0 else min(limit, MAX_LINES))
    return answer(
        {
            "total": found.total,
            "truncated": found.total > len(found.lines),
            "events": [event(line) for line in found.lines],
            "next": found.next,
        }
    )


@blueprint.get("/<lookup>/status-events/")
@signed_in
def status_events(caller: Caller, lookup: str) -> Response:
    """Answer the first lines that the platform itself wrote."""
    view = executions.find(world(), caller, lookup)
    limit = whole("limit", MAX_LINES)
    found = logs.status_events(world(), view.row, min(max(limit, 1), MAX_LINES))
    return answer({"total": found.total, "status_events": [event(line) for line in found.lines]})


@blueprint.get("/<lookup>/logs/")
@signed_in
def text(caller: Caller, lookup: str) -> Response:
    """Answer the whole log as text."""
    view = executions.find(world(), caller, lookup)
    pieces = (f"{line.message}\n" for line in _lines(world(), view))
    return Response(pieces, mimetype="text/plain")


def _after(view: ExecutionView, number: int, limit: int) -> Response:
    found = logs.read(world(), view.row, after=max(number, 0), limit=min(max(limit, 1), MAX_LINES))
    return answer(
        {
            "total": found.total,
            "truncated": found.next < found.total,
            "events": [event(line) for line in found.lines],
            "next": found.next,
        }
    )


def _whole_log(view: ExecutionView) -> Response:
    """Stream every line there is now: a log may have tens of megabytes."""
    total = logs.newest(world(), view.row, 1).total
    return Response(_pieces(world(), view, total), mimetype="application/json")


def _pieces(ports: World, view: ExecutionView, total: int) -> Iterator[bytes]:
    yield b'{"total":%d,"truncated":false,"events":[' % total
    comma = b""
    for line in _lines(ports, view):
        if line.number > total:
            break
        yield comma + orjson.dumps(event(line))
        comma = b","
    yield b"]}"


def _lines(ports: World, view: ExecutionView) -> Iterator[logs.LogLine]:
    last = 0
    while True:
        found = logs.read(ports, view.row, after=last, limit=PIECE)
        if not found.lines:
            return
        yield from found.lines
        last = found.next
