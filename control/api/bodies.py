"""Request bodies: JSON, form or multipart alike, with every fault collected."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson
from flask import request

from control.domain.errors import FieldError, Invalid

T = TypeVar("T")

MAX_BYTES = 16 * 2**20
"""For everything but packages, which raise it themselves."""
MAX_NUMBER = 2**53
"""Beyond it JSON's readers no longer agree."""
_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off", "")


class Body:
    """The fields of a request; readers note what is wrong, `check` raises all of it at once."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields
        self.errors: list[FieldError] = []

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def check(self) -> None:
        """Raise Invalid when a reader found a fault."""
        if self.errors:
            raise Invalid(*self.errors)

    def wrong(self, name: str, message: str, code: str = "invalid") -> None:
        """Note a fault."""
        self.errors.append(FieldError(name, message, code))

    def text(self, name: str, default: str = "", *, is_required: bool = False) -> str:
        """Read a text; a number is written as one."""
        value = self.fields.get(name)
        if value is None or (is_required and value == ""):
            if is_required:
                self.wrong(name, "This field is required.", "required")
            return default
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            self.wrong(name, "A text is expected.")
            return default
        text = str(value)
        if "\0" in text:
            self.wrong(name, "A text without null characters is expected.")
        return text

    def optional_text(self, name: str) -> str | None:
        """Read a text, None when it is absent, null or empty."""
        return self.text(name) or None

    def flag(self, name: str, *, default: bool) -> bool:
        """Read a boolean."""
        value = self.fields.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word not in (*_TRUE, *_FALSE):
            self.wrong(name, "True or false is expected.")
        return word in _TRUE

    def whole(self, name: str, default: int) -> int:
        """Read a whole number."""
        return self._cast(name, default, int, "A whole number is expected.")

    def number(self, name: str) -> float | None:
        """Read a number, None when it is absent."""
        return self._cast(name, None, float, "A number is expected.")

    def mapping(self, name: str) -> dict[str, Any]:
        """Read an object, empty when it is absent; inside a form it is JSON text."""
        value = self._unpacked(name)
        if value is None or value == "":
            return {}
        if not isinstance(value, dict):
            self.wrong(name, "An object is expected.")
            return {}
        return value

    def short_text(self, name: str, limit: int) -> str:
        """Read a text of at most `limit` characters."""
        text = self.text(name)
        if len(text) > limit:
            self.wrong(name, f"At most {limit} characters.")
        return text

    def texts(self, name: str) -> list[str]:
        """Read a list of texts; a single text is a list of one, commas separate."""
        value = self._unpacked(name)
        if value is None or value == "":
            return []
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            self.wrong(name, "A list of texts is expected.")
            return []
        return list(value)

    def _unpacked(self, name: str) -> Any:
        value = self.fields.get(name)
        if isinstance(value, str) and value[:1] in ("{", "["):
            try:
                return orjson.loads(value)
            except orjson.JSONDecodeError:
                return value
        return value

    def _cast(self, name: str, default: Any, kind: Callable[[Any], T], message: str) -> Any:
        value = self.fields.get(name)
        if value is None or value == "":
            return default
        try:
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                raise ValueError
            number = kind(value)
        except (ValueError, OverflowError):
            self.wrong(name, message)
            return default
        is_out = isinstance(number, int) and abs(number) > MAX_NUMBER
        if is_out or (isinstance(number, float) and not math.isfinite(number)):
            self.wrong(name, message)
            return default
        return number


def read_body() -> Body:
    """Read the request's fields by its content type; an empty body has none. Raises Invalid."""
    kind = request.mimetype
    request.max_content_length = MAX_BYTES  # beyond it: 413, also when no length was announced
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return Body(request.form.to_dict())
    length = request.content_length
    if length is not None and length <= MAX_BYTES:
        raw = request.environ["wsgi.input"].read(length)  # one read: each waits among threads
    else:
        raw = request.get_data(cache=False)
    if not raw.strip():
        return Body({})
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Invalid.one("non_field_errors", f"The body is not JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise Invalid.one("non_field_errors", "The body must be a JSON object.")
    return Body(fields)
