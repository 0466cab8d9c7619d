"""What no plan of ours may contain, checked on resources that are planned and not made yet.

`python -m stacks.policy FILE` reads what `pulumi preview --json` wrote (`-`: standard input) and
ends with status 1 when a rule is broken; the tests hand in what the programs register.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Planned:
    """One resource as the engine was asked for it; properties in camelCase, unknowns as text."""

    type: str
    name: str
    properties: Mapping[str, Any]
    is_protected: bool = False
