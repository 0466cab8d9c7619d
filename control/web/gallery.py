"""Every component in every state, for development and for the browser tests' pictures."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, render_template

from control.domain.states import Status
from control.web import visit
from control.web.presenters.status import badge
from control.web.presenters.timelines import Part, Timeline

blueprint = Blueprint("gallery", __name__)
_PHASES = ("code", "run", "outputs")


@blueprint.get("/dev/gallery")
def show() -> str:
    """Show the gallery."""
    badges = [badge(status, "run") for status in Status if status != Status.STARTED]
    badges += [badge(Status.STARTED, phase) for phase in _PHASES]
    parts = (
        Part("queued", "Queued", 4.2, 0, 60, None, ""),
        Part("code", "Code", 1.4, 60, 20, None, ""),
        Part("inputs", "Inputs", 12.0, 80, 160, None, "31 of 31 MiB"),
        Part("image", "Image", 34.0, 240, 300, None, "412 of 412 MiB"),
        Part("run", "Run", 59.0, 540, 460, visit.now() - timedelta(seconds=59), ""),
    )
    shown = {"badges": badges, "line": Timeline(parts), "now": visit.now()}
    return render_template("gallery.html", place="gallery", **shown)
