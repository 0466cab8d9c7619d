"""Worker groups, machines, decisions and runs of the engine as JSON."""

from __future__ import annotations

from typing import Any

from control.api.answers import absolute
from control.api.presenters.moments import moment, price
from control.domain.roles import Caller
from control.domain.scaling.memory import from_json
from control.domain.scaling.state import MachineState
from control.services.group_views import GroupView

_MONEY = ("hourly_budget_usd", "monthly_budget_usd")
_PLAIN = (
    *("id", "name", "environment_id", "rank", "cloud", "region", "stack", "instance_type"),
    *("market", "slots", "min", "max", "spare", "idle_ttl_s", "boot_grace_s", "burst"),
    *("channel", "agent_version", "is_enabled", "wanted", "applied"),
)


def group(view: GroupView, caller: Caller) -> dict[str, Any]:
    """Present a group; its stack's config only to an administrator."""
    row, memory = view.row, from_json(view.row.memory)
    shown: dict[str, Any] = {name: getattr(row, name) for name in _PLAIN}
    shown |= {
        "url": absolute(f"/api/v0/worker-groups/{row.id}/"),
        "per_hour_price_usd": price(row.price_per_hour_usd),
        **{name: getattr(row, name) for name in _MONEY},
        "spent_this_month_usd": round(memory.spent_this_month, 2),
        "machines": {state.value: view.counts.get(state, 0) for state in _HERE},
        "live": view.live,
        "busy": view.busy,
        "paused_by": row.paused_by,
        "hold": row.hold,
        "backoff_until": moment(memory.backoff_until),
        "backoff_message": memory.backoff_message,
        "breaker_reason": memory.breaker_reason,
        "decision": decision(view.decision) if view.decision is not None else None,
        "ctime": moment(row.ctime),
        "mtime": moment(row.mtime),
    }
    if caller.is_admin:
        shown["config"] = row.inputs
    return shown


_HERE = [state for state in MachineState if state is not MachineState.GONE]


def decision(row: Any) -> dict[str, Any]:
    """Present a decision."""
    names = ("id", "queued", "wanted", "live", "busy", "launch", "drain", "blocked_by", "reason")
    return {**{name: getattr(row, name) for name in names}, "time": moment(row.time)}


def machine(row: Any, console: str | None = None) -> dict[str, Any]:
    """Present a machine; `console` is None to who may not read it."""
    names = ("id", "group_id", "cloud", "region", "instance_id", "zone", "instance_type", "market")
    times = ("launched_at", "seen_at", "joined_at", "drained_at", "gone_at", "reclaim_at")
    shown = {name: getattr(row, name) for name in names}
    shown |= {"state": row.state, "reason": row.reason, "worker": row.worker, "held": row.held}
    shown |= {name: moment(getattr(row, name)) for name in times}
    if console is not None:
        shown["console"] = console
    return shown


def run(row: Any) -> dict[str, Any]:
    """Present a run of the engine."""
    names = ("id", "stack", "group_id", "verb", "size", "decision_id", "commit", "status")
    return {
        **{name: getattr(row, name) for name in names},
        "url": absolute(f"/api/v0/stack-runs/{row.id}/"),
        "started_at": moment(row.started_at),
        "ended_at": moment(row.ended_at),
        "engine_s": row.engine_s,
        "changes": row.changes or {},
        "error": row.error,
        "stop_requested_by": row.stop_requested_by,
    }


def event(row: Any) -> dict[str, Any]:
    """Present a step of a run."""
    names = ("number", "kind", "text", "resource", "operation", "severity")
    return {**{name: getattr(row, name) for name in names}, "at": moment(row.at)}
