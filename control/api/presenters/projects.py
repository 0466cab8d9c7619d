"""Projects as JSON (client-contract.md 2.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from control.api.answers import absolute, display
from control.api.presenters.moments import moment
from control.api.presenters.people import short_user
from control.domain.roles import Action, Caller, allows
from control.domain.states import Status
from control.services.projects import ProjectView
from control.services.variables import Variable


def project(view: ProjectView, caller: Caller) -> dict[str, Any]:
    """Present a project in a list and as part of its detail."""
    row, counts = view.row, view.counts
    return {
        **short_project(row, view.owner),
        "description": row.description,
        "ctime": moment(row.ctime),
        "mtime": moment(row.mtime),
        "yaml_path": row.yaml_path,
        "repository": _repository(view, caller),
        "execution_count": sum(counts.values()),
        "running_execution_count": counts.get(Status.STARTED, 0),
        "queued_execution_count": counts.get(Status.QUEUED, 0),
        "enabled_endpoint_count": 0,
        "last_execution_ctime": moment(row.last_execution_ctime),
        "tags": [],
        "upload_store_id": None,
        "default_environment": row.default_environment_id,
        "default_store": None,
        "read_only": not allows(view.role, Action.RUN, is_admin=caller.is_admin),
        "template": None,
        "default_notifications": False,
    }


def detail(view: ProjectView, caller: Caller, variables: Sequence[Variable]) -> dict[str, Any]:
    """Present a project with its counts and variables; a secret's value is null."""
    return {
        **project(view, caller),
        "execution_summary": _summary(view.counts),
        "environment_variables": {
            one.name: {"value": one.value, "secret": one.is_secret} for one in variables
        },
    }


def short_project(row: Any, owner: Any) -> dict[str, Any]:
    """Present a project inside something else."""
    return {
        "id": row.id,
        "name": row.name,
        "owner": short_user(owner),
        "url": absolute(f"/api/v0/projects/{row.id}/"),
        "urls": {
            "display": display(f"/projects/{row.id}/"),
            "display_repository": display(f"/projects/{row.id}/settings/"),
        },
    }


def repository(row: Any) -> dict[str, Any]:
    """Present a repository to those who may read its project."""
    return {
        "id": row.id,
        "project": {"id": row.project_id},
        "url": row.url,
        "ref": row.ref,
        "access": row.access,
        "fetched_at": moment(row.fetched_at),
    }


def member(row: Any) -> dict[str, Any]:
    """Present somebody of a project."""
    return {"user": short_user(row), "role": row.role}


def _repository(view: ProjectView, caller: Caller) -> dict[str, Any] | None:
    row = view.repository
    if row is None:
        return None
    shown = repository(row)
    if allows(view.role, Action.MANAGE, is_admin=caller.is_admin):
        shown |= {
            "public_key": row.public_key,
            "username": row.username,
            "has_token": row.token_sealed is not None,
            "host_key": row.host_key,
        }
    return shown


def _summary(counts: Mapping[str, int]) -> dict[str, int]:
    return {
        "count": sum(counts.values()),
        **{f"{status}_count": counts.get(status, 0) for status in Status},
        "stopping_hard_count": 0,
    }
