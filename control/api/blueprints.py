"""The API for people as one blueprint below /api/v0."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from control.api import (
    commits,
    datums,
    environments,
    errors,
    events,
    executions,
    people,
    projects,
    unavailable,
)
from control.domain.errors import NotFound

PREFIX = "/api/v0"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_NOUNS = (
    people,
    projects,
    commits,
    environments,
    executions,
    events,
    datums,
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

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if "//" in path and path.startswith("/api/"):
            while "//" in path:
                path = path.replace("//", "/")
            environ["PATH_INFO"] = path
        return self.application(environ, start)
