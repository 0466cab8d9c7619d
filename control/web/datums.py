"""Data: the stored files of a project, a look inside one, and uploading by hand."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path, PurePosixPath

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage

from control.domain.errors import TalkootError
from control.services import datums, projects
from control.services.datums import DatumQuery
from control.web import security, toasts, visit
from control.web.presenters import outputs
from control.web.presenters.frames import project_frame, project_url
from control.web.presenters.status import badge
from control.web.projects import frame_of

blueprint = Blueprint("datums", __name__)
PAGE = 100
MOST_USES = 20
"""How many of the newest executions that used a file are listed with it."""


@blueprint.get("/projects/<project_id>/data/")
def list_datums(project_id: str) -> str:
    """List a project's files, newest first, by a part of the name."""
    name, start = request.args.get("q", "").strip(), _start()
    query = DatumQuery(
        project_id=project_id, name=name, limit=PAGE + 1, offset=start, wants_count=False
    )
    views, _ = datums.list_page(visit.world(), visit.caller(), query)
    security.allow_store(datums.upload_address(visit.world()))
    shown = {
        "project": frame_of(project_id, "Data"),
        "files": outputs.files(visit.world(), views[:PAGE]),
        "q": name,
        "older": start + PAGE if len(views) > PAGE else 0,
    }
    return render_template("data.html", with_maker=True, **shown)


@blueprint.post("/projects/<project_id>/data/")
def upload(project_id: str) -> ResponseReturnValue:
    """Store files sent by a form; scripts send it straight to the store instead."""
    files = [file for file in request.files.getlist("file") if file.filename]
    try:
        for file in files:
            _store(project_id, file)
            toasts.say(f"Stored {file.filename}.")
    except TalkootError as error:
        toasts.say(error.message)
    if not files:
        toasts.say("Choose a file first.")
    return visit.see_other(f"{project_url(project_id)}data/")


@blueprint.get("/data/<datum_id>/")
def show(datum_id: str) -> str:
    """Show one file: what it is, where it came from, what used it, what is in it."""
    view = datums.find(visit.world(), visit.caller(), datum_id)
    project = projects.find(visit.world(), visit.caller(), view.row.project_id)
    shown = {
        "project": project_frame(project.row, project.role, visit.caller(), "Data"),
        "file": outputs.present(visit.world(), view, with_text=True),
        "row": view.row,
        "uses": datums.uses_of(visit.world(), view.row.id, MOST_USES),
    }
    return render_template("datum.html", badge=badge, **shown)


@blueprint.get("/data/<datum_id>/download/")
def download(datum_id: str) -> ResponseReturnValue:
    """Go to a short-lived address of the store."""
    view = datums.find(visit.world(), visit.caller(), datum_id)
    return redirect(datums.download_url(visit.world(), view))


@blueprint.post("/data/<datum_id>/purge/")
def purge(datum_id: str) -> ResponseReturnValue:
    """Delete the bytes and keep the record."""
    view = datums.purge(visit.world(), visit.caller(), datum_id, visit.now())
    toasts.say(f"Deleted the bytes of {view.row.name}.")
    return visit.see_other(f"{project_url(view.row.project_id)}data/")


def _start() -> int:
    text = request.args.get("start", "")
    return int(text) if text.isdecimal() and len(text) < 8 else 0


def _store(project_id: str, file: FileStorage) -> None:
    world, caller, now = visit.world(), visit.caller(), visit.now()
    name = PurePosixPath((file.filename or "").replace("\\", "/")).name
    with tempfile.TemporaryDirectory(prefix="talkoot-upload-") as folder:
        target = Path(folder) / "file"
        file.save(target)
        with target.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        size = target.stat().st_size
        view, _ = datums.start_upload(world, caller, project_id, (name, size, sha256), now)
        world.store.put(view.row.key, target)
    datums.confirm_upload(world, caller, view.row.id, now)
