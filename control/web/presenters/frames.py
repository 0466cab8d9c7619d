"""What stands around a page: the project's name and tabs, the execution's tabs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from control.domain.roles import Action, Caller, Role, allows


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab. `count` is shown when it is set."""

    word: str
    url: str
    is_current: bool
    count: int | None = None


@dataclass(frozen=True, slots=True)
class ProjectFrame:
    """The project a page belongs to, and what the caller may do in it."""

    id: str
    name: str
    url: str
    may_run: bool
    may_manage: bool
    tabs: tuple[Tab, ...]


PAGES = (("Executions", "executions/"), ("Data", "data/"), ("Settings", "settings/"))


def project_url(project_id: str) -> str:
    """The address under which all pages of a project lie."""
    return f"/projects/{project_id}/"


def execution_url(execution_id: str) -> str:
    """The address of an execution."""
    return f"/executions/{execution_id}/"


def project_frame(row: Any, role: Role | None, caller: Caller, current: str = "") -> ProjectFrame:
    """Build the frame; `current` is the page's word, empty on none of them."""
    url = project_url(row.id)
    tabs = tuple(Tab(word, url + path, word == current) for word, path in PAGES)
    may = {
        action: allows(role, action, is_admin=caller.is_admin)
        for action in (Action.RUN, Action.MANAGE)
    }
    return ProjectFrame(row.id, row.name, url, may[Action.RUN], may[Action.MANAGE], tabs)


EXECUTION_PAGES = (
    ("Overview", ""),
    ("Log", "log/"),
    ("Metrics", "metrics/"),
    ("Outputs", "outputs/"),
    ("Inputs and parameters", "inputs/"),
    ("Machine", "machine/"),
    ("Reproduce", "reproduce/"),
)


def execution_tabs(row: Any, current: str) -> tuple[Tab, ...]:
    """Build the tabs of an execution."""
    counts = {"Log": row.log_received or None, "Outputs": row.output_count or None}
    url = execution_url(row.id)
    return tuple(
        Tab(word, url + path, word == current, counts.get(word)) for word, path in EXECUTION_PAGES
    )
