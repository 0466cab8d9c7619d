"""Nouns that clients ask for and that are not there yet: empty lists, and a plain refusal."""

from __future__ import annotations

from flask import Blueprint, Response

from control.api.answers import answer
from control.api.auth import signed_in
from control.api.paging import page, window
from control.domain.errors import NotFound
from control.domain.roles import Caller

blueprint = Blueprint("unavailable", __name__)

NOUNS = {
    "tasks": "Tasks are",
    "pipelines": "Pipelines are",
    "deployments": "Deployments are",
    "deployment-versions": "Deployments are",
    "models": "Models are",
    "model-versions": "Models are",
    "notebook-executions": "Notebooks are",
    "datasets": "Datasets are",
    "dataset-versions": "Datasets are",
}


@signed_in
def list_none(caller: Caller, noun: str) -> Response:
    """List what is not there yet."""
    return page([], window(), 0)


@signed_in
def refuse(caller: Caller, noun: str) -> Response:
    """Say plainly that this cannot be created yet."""
    return answer({"detail": f"{NOUNS[noun]} not available yet.", "code": "unavailable"}, 501)


@signed_in
def show_none(caller: Caller, noun: str, lookup: str) -> Response:
    """Find nothing."""
    raise NotFound


for _noun in NOUNS:
    _about = {"noun": _noun}
    blueprint.add_url_rule(f"/{_noun}/", f"list-{_noun}", list_none, defaults=_about)
    blueprint.add_url_rule(
        f"/{_noun}/", f"refuse-{_noun}", refuse, methods=["POST"], defaults=_about
    )
    blueprint.add_url_rule(f"/{_noun}/<path:lookup>/", f"show-{_noun}", show_none, defaults=_about)
