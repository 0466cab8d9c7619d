"""The API for people as one blueprint below /api/v0."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from control.api import (
    commits,
    datums,
    environments,
    errors,
    events,
    executions,
    metadata_tables,
    people,
    projects,
    stack_runs,
    unavailable,
    worker_groups,
)
from control.domain.errors import NotFound

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PREFIX = "/api/v0"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_NOUNS = (
    people,
    projects,
    commits,
    environments,
    executions,
    metadata_tables,
    events,
    datums,
    worker_groups,
    stack_runs,
    unavailable,
)


def register(app: Flask) -> None:
    """Mount the API and answer every error below it as JSON."""
    api = Blueprint("api", __name__, url_prefix=PREFIX)
    for module in _NOUNS:
        api.register_blueprint(module.blueprint)
    errors.install(app)
    app.register_blueprint(api)
    app.add_url_rule("/api/", "api_nothing", nothing, methods=METHODS, defaults={"path": ""})
    app.add_url_rule("/api/<path:path>", "api_nothing", nothing, methods=METHODS)
    app.wsgi_app = OneSlash(app.wsgi_app)


def nothing(path: str) -> Response:
    """Answer an address that the API does not have, or not with this method."""
    allowed = [method for method in METHODS if _is_known(method)]
    if allowed:
        raise MethodNotAllowed(allowed)
    raise NotFound(f"The API has no /api/{path}.")


def _is_known(method: str) -> bool:
    try:
        endpoint, _ = current_app.url_map.bind(request.host).match(request.path, method)
    except HTTPException:
        return False
    return endpoint != "api_nothing"


class OneSlash:
    """Reads `…//stop/` as `…/stop/`: clients send it, and redirects lose bodies (1.2)."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if "//" in path and path.startswith("/api/"):
            environ["PATH_INFO"] = re.sub("/{2,}", "/", path)
        return self._application(environ, start_response)
