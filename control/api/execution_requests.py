"""What a client asks of executions, read from body and query (client-contract.md 1.6, 2.5.1)."""

from __future__ import annotations

from typing import Any

from flask import request

from control.api.bodies import Body
from control.api.paging import Window, flag
from control.domain.executions import ExecutionQuery, ExecutionRequest
from control.domain.states import INCOMPLETE

MAX_IMAGE = 1000
MAX_SECONDS = 10 * 365 * 24 * 3600


def execution_request(body: Body) -> ExecutionRequest:
    """Read a creation; faults stay in the body."""
    return ExecutionRequest(
        project_id=body.text("project", is_required=True),
        commit=body.text("commit", is_required=True),
        step=body.text("step", is_required=True),
        environment=body.optional_text("environment"),
        **overrides(body),
    )


def overrides(body: Body) -> dict[str, Any]:
    """Read what a copy may change; only what the body names."""
    readers: dict[str, tuple[str, Any]] = {
        "parameters": ("parameters", body.mapping),
        "inputs": ("inputs", lambda name: _inputs(body, name)),
        "image": ("image", lambda name: body.short_text(name, MAX_IMAGE) or None),
        "title": ("title", body.text),
        "tags": ("tags", lambda name: tuple(body.texts(name))),
        "environment_variables": ("env_vars", lambda name: _env_vars(body, name)),
        "inherit_environment_variables": (
            "inherit_env_vars",
            lambda name: body.flag(name, default=True),
        ),
        "command": ("command", lambda name: _command(body, name)),
        "priority": ("priority", lambda name: body.whole(name, 0)),
        "time_limit": ("time_limit_s", lambda name: _seconds(body, name, body.number(name))),
        "runtime_config": ("runtime_config", lambda name: _runtime_config(body, name)),
    }
    given = {
        field: read(name)
        for name, (field, read) in readers.items()
        if body.fields.get(name) is not None
    }
    _refuse_groups(body)
    return given


def execution_query(where: Window) -> ExecutionQuery | None:
    """Read a filter; None when nothing can match it."""
    given = request.args
    counters = _numbers(given.getlist("counter"))
    creators = _numbers(given.getlist("creator"))
    if counters is None or creators is None:
        return None
    if given.get("task") or given.get("pipeline"):
        return None  # nothing belongs to a task or a pipeline yet
    ordering = given.get("ordering", "-counter")
    return ExecutionQuery(
        project_id=given.get("project") or None,
        statuses=_statuses(given.getlist("status")),
        counters=counters,
        creator_id=creators[0] if creators else None,
        step=given.get("step") or None,
        environment=given.get("environment") or None,
        tag=given.get("tags") or given.get("tag") or None,
        text=given.get("text") or None,
        is_deleted=bool(flag("deleted", default=False)),
        ordering=ordering if ordering.lstrip("-") in ("counter", "ctime") else "-counter",
        limit=where.limit,
        offset=where.offset,
        wants_count=where.wants_count,
    )


def _statuses(given: list[str]) -> tuple[str, ...]:
    words = [word.strip().lower() for text in given for word in text.split(",") if word.strip()]
    found: list[str] = []
    for word in words:
        found += list(INCOMPLETE) if word == "incomplete" else [word]
    return tuple(dict.fromkeys(found))


def _numbers(given: list[str]) -> tuple[int, ...] | None:
    """Read numbers; None when one of them is none (`creator=<none>`)."""
    words = [word.strip() for text in given for word in text.split(",") if word.strip()]
    if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        return None
    return tuple(int(word) for word in words)


def _inputs(body: Body, name: str) -> dict[str, list[str]]:
    inputs: dict[str, list[str]] = {}
    for key, value in body.mapping(name).items():
        uris = [value] if isinstance(value, str) else value
        if uris is None:
            continue
        if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
            body.wrong(f"{name}.{key}", "A list of URIs is expected.")
            continue
        inputs[key] = uris
    return inputs


def _env_vars(body: Body, name: str) -> dict[str, str]:
    variables: dict[str, str] = {}
    for key, value in body.mapping(name).items():
        if isinstance(value, (dict, list)) or value is None:
            body.wrong(f"{name}.{key}", "A text is expected.")
            continue
        variables[key] = value if isinstance(value, str) else str(value)
    return variables


def _command(body: Body, name: str) -> list[str] | None:
    value = body.fields.get(name)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        if any("\0" in item for item in value):
            body.wrong(name, "A command holds no null characters.")
        return value or None
    text = body.text(name)
    return [text] if text.strip() else None


def _runtime_config(body: Body, name: str) -> dict[str, Any]:
    config = body.mapping(name)
    limit = config.get("no_output_timeout")
    if limit is not None:
        field = f"{name}.no_output_timeout"
        if isinstance(limit, bool) or not isinstance(limit, (int, float)):
            body.wrong(field, "A number of seconds is expected.")
        else:
            _seconds(body, field, limit)
    return config


def _seconds(body: Body, name: str, given: float | None) -> float | None:
    if given is not None and not 0 <= given <= MAX_SECONDS:
        body.wrong(name, f"A number of seconds from 0 to {MAX_SECONDS} is expected.")
    return given


def _refuse_groups(body: Body) -> None:
    """Say what is not there yet instead of running without it."""
    if body.fields.get("environment_variable_groups"):
        body.wrong(
            "environment_variable_groups",
            "Groups of variables are not available yet: set the variables on the project.",
            "unavailable",
        )
    if body.fields.get("runtime_config_preset"):
        body.wrong("runtime_config_preset", "Presets are not available yet.", "unavailable")
