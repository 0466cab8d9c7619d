"""Who may do what in a project: one table, asked in one place (ORG-1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """A person's place in a project; each can do what the one before can."""

    READER = "reader"
    MEMBER = "member"
    OWNER = "owner"


class Action(StrEnum):
    """What can be asked of a project."""

    READ = "read"  # see everything but secrets
    RUN = "run"  # executions, commits, data
    MANAGE = "manage"  # settings, repository, variables, members, deletion


ALLOWED: dict[Role, frozenset[Action]] = {
    Role.READER: frozenset({Action.READ}),
    Role.MEMBER: frozenset({Action.READ, Action.RUN}),
    Role.OWNER: frozenset(Action),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in person. `via` is the kind of token: api or session."""

    user_id: int
    username: str
    is_admin: bool = False
    via: str = "api"


def allows(role: Role | None, action: Action, *, is_admin: bool) -> bool:
    """Say whether a role may do it; an administrator may do everything, a stranger nothing."""
    if is_admin:
        return True
    return role is not None and action in ALLOWED[role]
