"""Resources that are planned and not made yet, and how to read them from a preview."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COMMAND = "pulumi preview --json --show-sames"


@dataclass(frozen=True, slots=True)
class Planned:
    """One resource as the engine was asked for it; properties in camelCase, unknowns as text."""

    type: str
    name: str
    properties: Mapping[str, Any]
    is_protected: bool = False
    provider: str = ""  # its URN and id

    @property
    def kind(self) -> str:
        """The type without its module: `Bucket` of `aws:s3/bucket:Bucket`."""
        return self.type.rpartition(":")[2]

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


def from_preview(text: str) -> list[Planned]:
    """Read what `pulumi preview --json --show-sames` wrote. Raises ValueError with what to do."""
    try:
        preview = json.loads(text)
        steps = preview["steps"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"This is not a preview: write one with `{COMMAND} --stack NAME > FILE`."
        ) from error
    for diagnostic in preview.get("diagnostics") or []:
        if diagnostic.get("severity") == "error":
            raise ValueError(f"The preview itself failed: {diagnostic['message'].strip()}")
    unchanged = preview.get("changeSummary", {}).get("same", 0)
    if unchanged > sum(step.get("op") == "same" for step in steps):
        raise ValueError(f"The preview leaves out what does not change; write it with `{COMMAND}`.")
    return [
        _planned(step["newState"])
        for step in steps
        if step.get("newState", {}).get("custom") and step.get("op") != "delete"
    ]


def _planned(state: Mapping[str, Any]) -> Planned:
    return Planned(
        type=state["type"],
        name=state["urn"].rpartition("::")[2],
        properties=_plain(state.get("inputs", {})),
        is_protected=bool(state.get("protect")),
        provider=state.get("provider", ""),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if not key.startswith("__")}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def as_data(value: Any) -> Any:
    """Read a property that is JSON text, as those of providers and policies are; else itself."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
