"""Environments: what waits there, and which workers serve them."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from control.domain.errors import NotFound
from control.services import environments, workers
from control.web import visit
from control.web.presenters.environments import machine, place

blueprint = Blueprint("environments", __name__, url_prefix="/environments")


@blueprint.get("/")
def list_environments() -> str:
    """List all environments with their workers' counts."""
    world, now = visit.world(), visit.now()
    places = [
        place(row, workers.list_for(world, row.id, now)) for row in environments.list_all(world)
    ]
    return render_template("environments.html", place="environments", places=places)


@blueprint.get("/<slug>/")
def show(slug: str) -> str:
    """Show one environment and what each of its workers does; to htmx the changing part alone."""
    world, now = visit.world(), visit.now()
    row = next((one for one in environments.list_all(world) if slug in (one.slug, one.id)), None)
    if row is None:
        raise NotFound(f"There is no environment '{slug}'.")
    found = workers.list_for(world, row.id, now)
    shown = {"one": place(row, found), "row": row, "machines": [machine(each) for each in found]}
    is_part = bool(request.headers.get("HX-Request"))
    name = "parts/environment.html" if is_part else "environment.html"
    return render_template(name, place="environments", **shown)
