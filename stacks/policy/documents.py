"""What no policy document may say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stacks.policy.planned import Planned, as_data

_READS = re.compile(r"[a-z0-9-]+:(?:Describe|List|Get)[A-Za-z]*")
_OF_ROLES = ("RolePolicy", "Policy", "UserPolicy", "GroupPolicy")


def complaints(planned: Planned) -> Iterator[str]:
    """Look through every document of a resource."""
    for key in ("policy", "assumeRolePolicy", "keyPolicy"):
        document = as_data(planned.properties.get(key))
        if not isinstance(document, Mapping) or "Statement" not in document:
            continue
        for statement in _list(document["Statement"]):
            for complaint in _statement(statement, is_of_role=planned.kind in _OF_ROLES):
                yield f"{planned}: statement {statement.get('Sid', '?')} {complaint}"


def _statement(statement: Mapping[str, Any], *, is_of_role: bool) -> Iterator[str]:
    conditions = statement.get("Condition", {})
    if any(operator.startswith("ForAllValues") for operator in conditions):
        yield "uses ForAllValues, which holds where the key is absent; use StringEquals."
    if statement.get("Effect") != "Allow":
        return
    if is_of_role and "*" in _list(statement.get("Resource", [])):
        actions = _list(statement.get("Action", []))
        loose = [action for action in actions if not _READS.fullmatch(action)]
        if loose:
            yield f"allows {', '.join(loose)} on every resource; name the resources."
    if _is_anybody(statement.get("Principal")) and not conditions:
        yield "lets anybody in; name who, or add a condition."


def _is_anybody(principal: Any) -> bool:
    if isinstance(principal, Mapping):
        return any("*" in _list(who) for who in principal.values())
    return principal == "*"


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]
