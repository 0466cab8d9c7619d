"""Commits as JSON (client-contract.md 2.4)."""

from __future__ import annotations

from typing import Any

from control.api.answers import absolute, display
from control.api.presenters.moments import commit_moment, moment


def flat_commit(row: Any) -> dict[str, Any]:
    """Present a commit with flat values only: `vh project commits` makes a column of each."""
    return {
        "adhoc": row.adhoc,
        "commit_time": commit_moment(row.commit_time),
        "identifier": row.identifier,
        "ref": row.ref,
        "repository": None,
        "url": absolute(f"/api/v0/commits/{row.id}/"),
    }


def commit(row: Any) -> dict[str, Any]:
    """Present a commit without its configuration."""
    return {
        **flat_commit(row),
        "id": row.id,
        "ref_names": [row.ref],
        "description": row.description,
        "project_id": row.project_id,
        "yaml_path": row.yaml_path,
        "has_config": bool(row.has_config),
        "ctime": moment(row.ctime),
        "urls": {"display": display(f"/projects/{row.project_id}/")},
    }


def short_commit(row: Any) -> dict[str, Any]:
    """Present a commit inside an execution."""
    return flat_commit(row)
