"""Style and scripts, served by us under addresses that change with them: kept for a year."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Response, request, send_from_directory

from control.domain.errors import NotFound

_HERE = Path(__file__).parent
FOLDERS = {"css": _HERE / "static/css", "js": _HERE / "static/js", "vendor": _HERE / "vendor"}

blueprint = Blueprint("assets", __name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """A file as it was at `changed_ns`: the version in its address, and its bytes packed."""

    changed_ns: int
    version: str
    packed: bytes


_known: dict[str, _Known] = {}


def asset(path: str) -> str:
    """Answer the address of `css/base.css` and the like, with its content's version."""
    known = _read(path)
    return f"/static/{path}?v={known.version}" if known else f"/static/{path}"


def _read(path: str) -> _Known | None:
    folder, _, name = path.partition("/")
    file = FOLDERS[folder] / name
    if not file.is_file():
        return None
    changed = file.stat().st_mtime_ns
    known = _known.get(path)
    if known is None or known.changed_ns != changed:
        body = file.read_bytes()
        version = hashlib.sha256(body).hexdigest()[:12]
        known = _known[path] = _Known(changed, version, gzip.compress(body, 9, mtime=0))
    return known


@blueprint.get("/static/<folder>/<name>")
def serve(folder: str, name: str) -> Response:
    """Send one file, packed where the browser can unpack it."""
    known = _read(f"{folder}/{name}") if folder in FOLDERS else None
    if known is None:
        raise NotFound
    answer = send_from_directory(FOLDERS[folder], name, conditional=True)
    if answer.status_code == 200 and "gzip" in request.accept_encodings:
        answer.direct_passthrough = False
        answer.set_data(known.packed)
        answer.content_encoding = "gzip"
    answer.vary.add("Accept-Encoding")
    answer.set_etag(known.version)
    if request.args.get("v") == known.version:
        answer.cache_control.public = True
        answer.cache_control.max_age = 31_536_000
        answer.cache_control.immutable = True
        answer.cache_control.no_cache = None
    return answer


@blueprint.get("/favicon.svg")
def favicon() -> Response:
    """Send the mark that browsers show on a tab."""
    return send_from_directory(_HERE / "static", "favicon.svg")
