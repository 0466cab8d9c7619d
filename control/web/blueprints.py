"""The web app as one blueprint: pages, what guards them, what every template may use."""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, Flask, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from control.web import (
    assets,
    datums,
    environments,
    errors,
    execution_pages,
    executions,
    formats,
    gallery,
    logs,
    new_execution,
    people,
    project_settings,
    projects,
    security,
    stack_runs,
    toasts,
    visit,
    worker_groups,
)


def register(app: Flask) -> None:
    """Mount the pages; `app.config["DEVELOPMENT"]` shows the gallery too."""
    web = Blueprint("web", __name__, template_folder="templates")
    for module in (
        assets,
        people,
        projects,
        executions,
        execution_pages,
        logs,
        new_execution,
        datums,
        environments,
        worker_groups,
        stack_runs,
        project_settings,
    ):
        web.register_blueprint(module.blueprint)
    if app.config.get("DEVELOPMENT"):
        web.register_blueprint(gallery.blueprint)
    web.before_request(visit.guard)
    web.after_request(security.protect)
    web.after_request(toasts.carry)
    errors.install(web)
    app.register_blueprint(web)
    _teach_templates(app)
    _answer_unknown_addresses(app)


def _answer_unknown_addresses(app: Flask) -> None:
    """Show our page where no page is; the API's own answer stays for addresses of the API."""
    others = app.error_handler_spec[None][None].get(HTTPException)

    def not_found(error: HTTPException) -> ResponseReturnValue:
        if others is not None and request.path.startswith("/api/"):
            return cast(ResponseReturnValue, others(error))
        return security.protect(app.make_response(errors.not_found()))

    app.register_error_handler(404, not_found)


def _teach_templates(app: Flask) -> None:
    env = app.jinja_env
    env.trim_blocks = env.lstrip_blocks = True
    filters: dict[str, Any] = {
        "ago": lambda moment: formats.ago(moment, visit.now()),
        "duration": formats.duration,
        "exact": formats.exact,
        "machine_time": formats.machine_time,
        "measure": formats.measure,
        "parameter": formats.parameter,
        "plural": formats.plural,
        "size": formats.size,
        "whole": formats.whole,
    }
    for name, function in filters.items():
        app.add_template_filter(function, name)
    app.add_template_global(assets.asset, "asset")
    app.add_template_global(toasts.take, "toasts")
    app.context_processor(_of_every_page)


def _of_every_page() -> dict[str, object]:
    signed_in = visit.signed_in_or_none()
    return {
        "caller": signed_in.caller if signed_in else None,
        "csrf_token": signed_in.csrf if signed_in else "",
    }
