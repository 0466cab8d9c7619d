"""Environments as JSON (client-contract.md 2.3)."""

from __future__ import annotations

from typing import Any

from control.api.answers import absolute
from control.api.presenters.moments import moment, price
from control.domain.roles import Caller


def environment(row: Any, caller: Caller | None = None) -> dict[str, Any]:
    """Present an environment."""
    return {
        "id": row.id,
        "name": row.name,
        "slug": row.slug,
        "description": row.description,
        "url": absolute(f"/api/v0/environments/{row.id}/"),
        "gpu_spec": row.gpu_spec,
        "has_gpu": bool(row.gpu_spec),
        "per_hour_price_usd": price(row.per_hour_price_usd),
        "per_user_queue_quota": row.per_user_queue_quota,
        "per_user_resource_quotas": None,
        "enabled": row.is_enabled,
        "is_default": row.is_default,
        "owner": None,
        "allow_personal_usage": True,
        "bill_usage": False,
        "can_admin": caller is not None and caller.is_admin,
        "provider": row.kind,
        "type": "vm",
        "is_scalable": False,
        "spot": False,
        "enable_smart_vm_selection": False,
        "supports_priority": True,
        "ctime": moment(row.ctime),
        "mtime": moment(row.mtime),
    }
