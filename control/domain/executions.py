"""What is asked of an execution, as plain values; no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ExecutionRequest:
    """A request to run a step (client-contract.md 2.5.1). None means: not given, use defaults."""

    project_id: str
    commit: str
    step: str
    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, list[str]] = field(default_factory=dict)  # absent name: the YAML's default
    environment: str | None = None
    image: str | None = None
    title: str = ""
    tags: tuple[str, ...] = ()
    env_vars: dict[str, str] = field(default_factory=dict)
    inherit_env_vars: bool = True
    command: list[str] | None = None
    priority: int = 0
    time_limit_s: float | None = None
    runtime_config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExecutionQuery:
    """A filter over executions of the caller's projects. Empty tuples do not filter."""

    project_id: str | None = None
    statuses: tuple[str, ...] = ()
    counters: tuple[int, ...] = ()
    creator_id: int | None = None
    step: str | None = None
    environment: str | None = None  # id or slug
    tag: str | None = None
    text: str | None = None  # found in title or step, any case
    is_deleted: bool = False
    ordering: str = "-counter"  # counter, -counter, ctime, -ctime
    limit: int = 1000
    offset: int = 0
    before_counter: int | None = None  # keyset: only older ones, within one project
    wants_count: bool = True
