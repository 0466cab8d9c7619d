"""The log of an execution: the page, the lines that scripts ask for, the whole as a file."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from control.domain.ports import TailBlock
from control.domain.states import Status
from control.services import logs
from control.services.world import World
from control.web import visit
from control.web.execution_pages import find, page_of
from control.web.presenters import log_search
from control.web.presenters.log_lines import present

blueprint = Blueprint("logs", __name__, url_prefix="/executions/<execution_id>")
FIRST_SIGHT = 200
A_PAGE = 1000
MOST = 5000


@blueprint.get("/log/")
def show(execution_id: str) -> str:
    """Show the newest lines, or with `after` a page of lines, for reading without scripts."""
    view = find(execution_id)
    if "after" in request.args:
        page = logs.read(visit.world(), view.row, after=_number("after", 0), limit=A_PAGE)
    else:
        page = logs.newest(visit.world(), view.row, FIRST_SIGHT)
    shown = {"log_lines": present(page.lines), "log_total": page.total}
    return render_template("execution_log.html", **page_of(view, "Log"), **shown)


@blueprint.get("/log/lines")
def lines(execution_id: str) -> Response:
    """Answer lines after a number as agents wrote them: `time letter text`."""
    view, after = find(execution_id), _number("after", 0)
    wanted = min(_number("limit", A_PAGE), MOST)
    found: list[bytes] = []
    for block in _blocks(visit.world(), view.row.id, after):
        found += [line for _, line in log_search.numbered(block)][: wanted - len(found)]
        if len(found) >= wanted:
            break
    return _text(b"".join(line + b"\n" for line in found))


@blueprint.get("/log/matches")
def matches(execution_id: str) -> Response:
    """Answer matching lines with their numbers; the first row says where to go on and the total."""
    view, after = find(execution_id), _number("after", 0)
    wanted = log_search.Wanted(
        request.args.get("q", ""),
        request.args.get("streams", "oes"),
        min(_number("limit", 0), MOST),
    )
    found = log_search.matches(_blocks(visit.world(), view.row.id, after), wanted, after)
    head = f"{found.next} {view.row.log_received}\n".encode()
    return _text(head + b"".join(b"%d %s\n" % line for line in found.lines))


@blueprint.get("/log/first-error/")
def first_error(execution_id: str) -> ResponseReturnValue:
    """Go to the line where the trouble begins; to scripts its number alone."""
    view = find(execution_id)
    number = log_search.first_error(_blocks(visit.world(), view.row.id, 0))
    if number is None and view.row.status == Status.ERROR:
        number = log_search.last_complaint(_blocks(visit.world(), view.row.id, 0))
    if request.args.get("as") == "number":
        return _text(str(number or "").encode())
    before = max((number or 1) - 20, 0)
    return redirect(f"/executions/{view.row.id}/log/?after={before}#L{number or 1}")


@blueprint.get("/log.txt")
def download(execution_id: str) -> Response:
    """Send the whole log; with `times` each line begins with its time and stream."""
    view, world = find(execution_id), visit.world()
    with_times = bool(request.args.get("times"))
    name = f"{view.project.name}-{view.row.counter}.log"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    pieces = _file(world, view.row.id, with_times)
    return Response(pieces, mimetype="text/plain", headers=headers)


def _file(world: World, execution_id: str, with_times: bool) -> Iterator[bytes]:
    for block in _blocks(world, execution_id, 0):
        if with_times:
            yield block.text
        else:
            yield b"".join(
                line.split(b" ", 2)[-1] + b"\n" for _, line in log_search.numbered(block)
            )


def _blocks(world: World, execution_id: str, after: int) -> Iterator[TailBlock]:
    """All blocks after a number, oldest first, read as they are asked for."""
    while found := logs.read_blocks(world, execution_id, after=after):
        yield from found
        after = found[-1].last


def _number(name: str, default: int) -> int:
    text = request.args.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 13 else default


def _text(body: bytes) -> Response:
    return Response(body, mimetype="text/plain")
