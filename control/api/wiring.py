"""Between HTTP and the messages of `agent.wire`."""

from __future__ import annotations

from typing import Any, TypeVar

import orjson
from flask import Response, request

from agent import wire
from control.domain.errors import Invalid

T = TypeVar("T")


def message_of(kind: type[T]) -> T:
    """Read the request's body as a message. Raises Invalid naming the field."""
    try:
        return wire.decode(kind, orjson.loads(request.get_data() or b"{}"))
    except ValueError as error:
        raise Invalid.one("non_field_errors", str(error)) from error


def wire_answer(message: Any, *, status: int = 200) -> Response:
    """Answer with a message, or with what is JSON already."""
    body = message if isinstance(message, (dict, list)) else wire.encode(message)
    return Response(orjson.dumps(body), status=status, mimetype="application/json")
