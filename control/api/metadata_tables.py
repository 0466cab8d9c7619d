"""Metadata of several executions as one table."""

from __future__ import annotations

import csv
import io
from typing import Any

from flask import Blueprint, Response, request

from control.api.auth import signed_in, world
from control.api.bodies import read_body
from control.domain.errors import Invalid
from control.domain.roles import Caller
from control.services import executions

blueprint = Blueprint("metadata_tables", __name__, url_prefix="/executions")

MAX_EXECUTIONS = 500
_FIRST = ("execution", "counter", "step", "_time")


@blueprint.get("/multi_download_metadata_csv/")
@signed_in
def download(caller: Caller) -> Response:
    """Answer a row for each metadata point of the executions, as CSV."""
    body = read_body()
    ids = body.texts("ids") or [word for word in request.args.get("ids", "").split(",") if word]
    body.check()
    if not 0 < len(ids) <= MAX_EXECUTIONS:
        raise Invalid.one("ids", f"Name 1 to {MAX_EXECUTIONS} executions.", "required")
    rows: list[dict[str, Any]] = []
    for lookup in ids:
        row = executions.find(world(), caller, lookup).row
        about = {"execution": row.id, "counter": row.counter, "step": row.step}
        rows += [{**about, **one} for one in executions.metadata_points(world(), row.id)]
    return Response(_csv(rows), mimetype="text/csv")


def _csv(rows: list[dict[str, Any]]) -> str:
    keys = sorted({key for row in rows for key in row} - set(_FIRST))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*_FIRST, *keys])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
