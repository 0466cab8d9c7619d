"""Datums and their aliases as JSON (client-contract.md 2.6)."""

from __future__ import annotations

from typing import Any

from control.api.answers import absolute
from control.api.presenters.moments import moment
from control.services.datums import AliasView, DatumView
from control.services.datums import download_url as sign_download
from control.services.world import World


def datum(view: DatumView) -> dict[str, Any]:
    """Present a datum."""
    row = view.row
    made_by = None
    if row.execution_id is not None:
        made_by = {"id": row.execution_id, "counter": view.counter}
    return {
        "id": row.id,
        "name": row.name,
        "size": row.size_bytes,
        "uri": row.uri,
        "output_execution": made_by,
        "ctime": moment(row.ctime),
        "file_ctime": moment(row.ctime),
        "file_mtime": moment(row.ctime),
        "md5": row.md5 or None,
        "sha1": row.sha1 or None,
        "sha256": row.sha256,
        "purged": row.is_purged,
        "deleted": False,
        "store": None,
        "project": {"id": row.project_id},
        "tags": row.tags or [],
        "aliases": list(view.aliases),
        "metadata": row.properties or {},
        "url": absolute(f"/api/v0/data/{row.id}/"),
    }


def alias(view: AliasView) -> dict[str, Any]:
    """Present an alias."""
    return {
        "id": view.row.id,
        "name": view.row.name,
        "ctime": moment(view.row.ctime),
        "mtime": moment(view.row.mtime),
        "project": {"id": view.row.project_id},
        "datum": datum(view.datum) if view.datum is not None else None,
    }


def download_url(world: World, view: DatumView) -> str | None:
    """Sign a download; None when the bytes are gone."""
    return None if view.row.is_purged else absolute(sign_download(world, view))
