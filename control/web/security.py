"""Headers that keep a page to itself: our own scripts and styles, no frame, no other host."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, g, request

_BASE = (
    "default-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "form-action 'self'",
)


def allow_store(url: str) -> None:
    """Let this page show pictures from, and upload to, the store that signed `url`."""
    parts = urlsplit(url)
    if parts.netloc and parts.netloc != request.host:
        g.store_origin = f"{parts.scheme}://{parts.netloc}"


def protect(answer: Response) -> Response:
    """Add the headers to every page."""
    store = g.get("store_origin", "")
    images, requests = f"img-src 'self' data: {store}", f"connect-src 'self' {store}"
    policy = [*_BASE, images.strip(), requests.strip()]
    answer.headers.setdefault("Content-Security-Policy", "; ".join(policy))
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")
    answer.headers.setdefault("Referrer-Policy", "same-origin")
    answer.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if answer.mimetype == "text/html":
        answer.headers.setdefault("Cache-Control", "no-store")
    return answer
