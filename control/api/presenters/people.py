"""People and their tokens as JSON."""

from __future__ import annotations

from typing import Any

from control.api.presenters.moments import moment


def user(row: Any) -> dict[str, Any]:
    """Present a user to themselves or to an administrator."""
    return {
        "id": row.id,
        "username": row.username,
        "email": row.email,
        "first_name": row.first_name,
        "last_name": row.last_name,
        "is_admin": row.is_admin,
    }


def short_user(row: Any) -> dict[str, Any]:
    """Present a user inside something else."""
    return {"id": row.id, "username": row.username}


def token(row: Any) -> dict[str, Any]:
    """Present a token; its secret is not there to be shown."""
    return {
        "id": row.id,
        "name": row.name,
        "ctime": moment(row.ctime),
        "expires_at": moment(row.expires_at),
        "used_at": moment(row.used_at),
    }
