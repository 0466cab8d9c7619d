"""Executions as JSON (client-contract.md 2.5.2)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from control.api.answers import absolute, display
from control.api.presenters.commits import short_commit
from control.api.presenters.environments import environment
from control.api.presenters.moments import moment
from control.api.presenters.projects import short_project
from control.domain.states import PHASE_WORDS
from control.services.executions import ExecutionView
from control.services.logs import LogLine


def execution(view: ExecutionView, now: datetime) -> dict[str, Any]:
    """Present an execution in a list; without what is heavy."""
    row = view.row
    url = absolute(f"/api/v0/executions/{row.id}/")
    return {
        "id": row.id,
        "counter": row.counter,
        "url": url,
        "urls": {
            "display": display(f"/executions/{row.id}/"),
            "stop": f"{url}stop/",
            "copy": f"{url}copy/",
        },
        "status": row.status,
        "status_detail": row.status_detail,
        "phase": row.phase,
        "phase_word": PHASE_WORDS.get(row.phase, row.phase),
        "reason": row.reason,
        "reason_text": row.sentence,
        "step": row.step,
        "step_icon": None,
        "title": row.title,
        "duration": duration(row, now),
        "ctime": moment(row.ctime),
        "mtime": moment(row.mtime),
        "qtime": _seconds(row.queued_at, row.started_at),
        "end_time": moment(row.end_time),
        "project": short_project(view.project, view.owner),
        "commit": short_commit(view.commit),
        "environment": environment(view.environment),
        "creator_id": view.creator.id,
        "creator_name": view.creator.username,
        "task": None,
        "task_counter": None,
        "pipeline": None,
        "pipeline_counter": None,
        "deleted": row.is_deleted,
        "is_pinned": False,
        "n_alerts": 0,
        "n_comments": 0,
        "n_outputs": row.output_count,
        "priority": row.priority,
        "image": row.image,
        "executor_identity": row.worker_name,
        "price": None,
        "emissions": None,
    }


def detail(view: ExecutionView, now: datetime) -> dict[str, Any]:
    """Present an execution whole, but for what costs a query of its own."""
    row = view.row
    return {
        **execution(view, now),
        "parameters": row.parameters,
        "inputs": [_input(one) for one in row.inputs],
        "command": row.command,
        "interpolated_command": "\n".join(row.commands),
        "environment_variables": row.env_vars,
        "runtime_config": {
            **row.runtime_config,
            "no_output_timeout": row.no_output_timeout_s,
        },
        "time_limit": row.time_limit_s,
        "stop_expression": None,
        "parameter_categories": None,
        "exit_code": row.exit_code,
        "failing_item": row.failing_item,
        "image_digest": row.image_digest,
        "attempt_count": row.attempt_count,
    }


def duration(row: Any, now: datetime) -> float | None:
    """Seconds since the start, up to the end or to now; None before the start."""
    return _seconds(row.started_at, row.end_time or now)


def event(line: LogLine) -> dict[str, Any]:
    """Present a log line."""
    return {
        "time": line.time,
        "stream": line.stream,
        "message": line.message,
        "number": line.number,
    }


def phase(row: Any) -> dict[str, Any]:
    """Present a phase of the time-line."""
    return {
        "name": row.name,
        "started_at": moment(row.started_at),
        "ended_at": moment(row.ended_at),
        "done": row.done,
        "total": row.total,
        "unit": row.unit,
    }


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    return round(max(0.0, (end - start).total_seconds()), 6)


def _input(stored: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": stored["name"],
        "urls": stored["urls"],
        "files": [
            {
                "name": file.get("name"),
                "uri": file.get("uri"),
                "datum": file.get("datum_id"),
                "size": file.get("size_bytes"),
            }
            for file in stored.get("files", ())
        ],
    }
