"""The web app as one blueprint: pages, what guards them, what every template may use."""

from __future__ import annotations

from flask import Blueprint, Flask

from control.web import (
    assets,
    errors,
    formats,
    gallery,
    people,
    security,
    visit,
)


def register(app: Flask) -> None:
    """Mount the pages; `app.config["DEVELOPMENT"]` shows the gallery too."""
    web = Blueprint("web", __name__, template_folder="templates")
    for module in (
        assets,
        people,
    ):
        web.register_blueprint(module.blueprint)
    if app.config.get("DEVELOPMENT"):
        web.register_blueprint(gallery.blueprint)
    web.before_request(visit.guard)
    web.after_request(security.protect)
    errors.install(web)
    app.register_blueprint(web)
    _teach_templates(app)


def _teach_templates(app: Flask) -> None:
    env = app.jinja_env
    env.trim_blocks = env.lstrip_blocks = True
    env.globals.update(asset=assets.asset)
    env.filters.update(
        ago=lambda moment: formats.ago(moment, visit.now()),
        duration=formats.duration,
        exact=formats.exact,
        machine_time=formats.machine_time,
        measure=formats.measure,
        plural=formats.plural,
        size=formats.size,
        whole=formats.whole,
    )
    app.context_processor(_of_every_page)


def _of_every_page() -> dict[str, object]:
    signed_in = visit.signed_in_or_none()
    return {
        "caller": signed_in.caller if signed_in else None,
        "csrf_token": signed_in.csrf if signed_in else "",
    }
