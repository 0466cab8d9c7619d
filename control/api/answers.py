"""JSON answers and absolute addresses."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response, current_app, g, request


def answer(data: Any, status: int = 200) -> Response:
    """Answer with JSON."""
    return Response(orjson.dumps(data), status=status, mimetype="application/json")


def empty() -> Response:
    """Answer that it is done and there is nothing to say."""
    return Response(status=204)


def absolute(path: str) -> str:
    """Make an address that clients call: of the request's own host (client-contract.md 1.7)."""
    if path.startswith(("http://", "https://")):
        return path
    return _base() + path


def _base() -> str:
    try:
        base: str = g.base
    except AttributeError:
        base = g.base = f"{request.scheme}://{request.host}"
    return base


def display(path: str) -> str:
    """Make an address that people open: of the public web address when one is set."""
    public = current_app.config.get("PUBLIC_URL")
    return f"{public}{path}" if public else absolute(path)
