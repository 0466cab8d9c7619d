"""Lists: pages, orders, and which parts of an object are wanted (client-contract.md 1.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from control.api.answers import absolute, answer
from control.domain.errors import Invalid

DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000
KEY_LIMIT = 100
KEY_LIMIT_MOST = 1000
MAX_NUMBER = 2**31 - 1
"""What both databases take for a number."""
_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off", "")


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that is wanted."""

    limit: int
    offset: int
    wants_count: bool


def window() -> Window:
    """Read limit, offset and no_count."""
    return Window(
        limit=min(max(whole("limit", DEFAULT_LIMIT), 1), MAX_LIMIT),
        offset=max(whole("offset", 0), 0),
        wants_count=not flag("no_count", default=False),
    )


def page(results: Sequence[Any], where: Window, count: int | None) -> Response:
    """Answer a list in its envelope; `next` is set when there may be more."""
    end = where.offset + len(results)
    is_more = len(results) == where.limit and (count is None or count > end)
    return answer(
        {
            "count": count if where.wants_count else None,
            "next": _at(end) if is_more else None,
            "previous": _at(max(0, where.offset - where.limit)) if where.offset else None,
            "results": results,
        }
    )


def page_by_key(
    read: Callable[[str | None, int], Sequence[Any]], present: Callable[[Any], Any]
) -> Response:
    """Answer a list that is walked by key: newest first, `before` the id that ended the last page.

    It costs the same at any depth, and has no count.
    """
    limit = min(max(whole("limit", KEY_LIMIT), 1), KEY_LIMIT_MOST)
    rows = read(request.args.get("before") or None, limit + 1)
    shown, is_more = rows[:limit], len(rows) > limit
    following = _with("before", shown[-1].id) if is_more else None
    return answer(
        {
            "count": None,
            "next": following,
            "previous": None,
            "results": [present(row) for row in shown],
        }
    )


def _at(offset: int) -> str:
    return _with("offset", str(offset))


def _with(name: str, value: str) -> str:
    given = [(key, value) for key, value in request.args.items(multi=True) if key != name]
    return absolute(f"{request.path}?{urlencode([*given, (name, value)])}")


def whole(name: str, default: int) -> int:
    """Read a whole number of the query."""
    text = request.args.get(name, "").strip()
    if not text:
        return default
    try:
        return min(max(int(text), -MAX_NUMBER), MAX_NUMBER)
    except ValueError:
        raise Invalid.one(name, f"'{text}' is not a whole number.") from None


def flag(name: str, *, default: bool | None) -> bool | None:
    """Read a boolean of the query, in any case; something else counts as not given."""
    text = request.args.get(name)
    if text is None:
        return default
    if text.strip().lower() in _TRUE:
        return True
    return False if text.strip().lower() in _FALSE else default


def words(name: str) -> frozenset[str]:
    """Read a comma-separated list of the query, which may also be repeated."""
    return frozenset(
        word.strip()
        for text in request.args.getlist(name)
        for word in text.split(",")
        if word.strip()
    )


def wants(part: str, *, default: bool) -> bool:
    """Say whether a part is wanted by `include` and `exclude`."""
    if part in words("exclude"):
        return False
    return default or part in words("include")
