"""What a form did, said on the page after it: a cookie that is read once and kept a minute."""

from __future__ import annotations

import base64
import json

from flask import Response, g, request

COOKIE = "talkoot_toasts"
MOST_BYTES = 2500
LIFE_S = 60


def say(text: str) -> None:
    """Say something on the next page."""
    g.setdefault("toasts", []).append(text)


def take() -> list[str]:
    """What is to be said now; it is said once."""
    said = request.cookies.get(COOKIE, "")
    g.toasts_taken = bool(said)
    try:
        found = json.loads(base64.urlsafe_b64decode(said)) if said else []
    except ValueError:
        return []
    fresh = g.pop("toasts", [])
    return [str(text) for text in found] + fresh if isinstance(found, list) else fresh


def carry(answer: Response) -> Response:
    """Bring what was said to the next page, and forget what was shown."""
    said = list(g.get("toasts", []))
    while said and len(json.dumps(said)) > MOST_BYTES:
        said.pop(0)
    if said:
        value = base64.urlsafe_b64encode(json.dumps(said).encode()).decode()
        answer.set_cookie(COOKIE, value, max_age=LIFE_S, httponly=True, samesite="Lax")
    elif g.get("toasts_taken"):
        answer.delete_cookie(COOKIE)
    return answer
