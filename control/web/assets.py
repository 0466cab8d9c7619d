"""Style and scripts, served by us under addresses that change with them: kept for a year."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import Blueprint, Response, abort, request, send_from_directory

_HERE = Path(__file__).parent
FOLDERS = {"css": _HERE / "static/css", "js": _HERE / "static/js", "vendor": _HERE / "vendor"}

blueprint = Blueprint("assets", __name__)
_versions: dict[str, tuple[int, str]] = {}


def asset(path: str) -> str:
    """Answer the address of `css/base.css` and the like, with its content's version."""
    folder, _, name = path.partition("/")
    file = FOLDERS[folder] / name
    if not file.is_file():
        return f"/static/{path}"
    changed = file.stat().st_mtime_ns
    known = _versions.get(path)
    if known is None or known[0] != changed:
        known = (changed, hashlib.sha256(file.read_bytes()).hexdigest()[:12])
        _versions[path] = known
    return f"/static/{path}?v={known[1]}"


@blueprint.get("/static/<folder>/<path:name>")
def serve(folder: str, name: str) -> Response:
    """Send one file."""
    if folder not in FOLDERS:
        abort(404)
    answer = send_from_directory(FOLDERS[folder], name, conditional=True)
    if "v" in request.args:
        answer.cache_control.public = True
        answer.cache_control.max_age = 31_536_000
        answer.cache_control.immutable = True
        answer.cache_control.no_cache = None
    return answer


@blueprint.get("/favicon.svg")
def favicon() -> Response:
    """Send the mark that browsers show on a tab."""
    return send_from_directory(_HERE / "static", "favicon.svg")
