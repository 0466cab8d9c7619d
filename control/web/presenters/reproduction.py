"""What it takes to run an execution again: as a command for the client and as YAML (EX-6)."""

from __future__ import annotations

from typing import Any

import yaml

from control.services.executions import ExecutionView
from control.web.presenters.invocation import Invocation, command


def client_command(view: ExecutionView) -> str:
    """Write the `vh` command with everything that differs from nothing."""
    row = view.row
    return command(
        Invocation(
            step=row.step,
            commit=view.commit.identifier,
            environment=view.environment.slug,
            image=row.image,
            title=row.title,
            tags=tuple(row.tags or ()),
            parameters=row.parameters,
            inputs={one["name"]: tuple(one["urls"]) for one in row.inputs},
            env_vars=row.env_vars or {},
        )
    )


def step_yaml(view: ExecutionView) -> str:
    """Write the step as it ran: rendered commands, resolved inputs, chosen values."""
    row = view.row
    step: dict[str, Any] = {
        "name": row.step,
        "image": _pinned(row),
        "environment": view.environment.slug,
        "command": list(row.commands),
    }
    if row.parameters:
        step["parameters"] = [
            {"name": name, "type": _kind(value), "default": value}
            for name, value in row.parameters.items()
        ]
    if row.inputs:
        step["inputs"] = [{"name": one["name"], "default": one["urls"]} for one in row.inputs]
    if row.env_vars:
        step["environment-variables"] = [
            {"name": name, "default": value} for name, value in row.env_vars.items()
        ]
    return yaml.safe_dump([{"step": step}], sort_keys=False, allow_unicode=True, width=100)


def _pinned(row: Any) -> str:
    if not row.image_digest or "@" in row.image:
        return row.image
    digest = row.image_digest.rpartition("@")[2]
    return f"{row.image}@{digest}" if digest.startswith("sha256:") else row.image


def _kind(value: Any) -> str:
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, bool):
        return "flag"
    return {int: "integer", float: "float"}.get(type(value), "string")
