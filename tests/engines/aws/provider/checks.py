"""What Check and Diff need: names made up, default tags, differences, unknowns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.engines.aws.provider import shapes
from tests.engines.aws.provider.kinds import Kind, Values

_HEX_DIGITS = 7


def complete(
    kind: Kind, request: Any, olds: Values, news: Values, default_tags: Mapping[str, str]
) -> Values:
    """Fill in what the real provider fills in: a name, and the provider's default tags."""
    inputs = dict(news)
    by = kind.named_by
    if by and inputs.get(by) is None and inputs.get(f"{by}Prefix") is None:
        inputs[by] = olds.get(by) or f"{request.name}-{request.randomSeed.hex()[:_HEX_DIGITS]}"
    shape = shapes.of(kind.token)["inputs"]["object"]
    if default_tags and shape.get("tags") == {"map": "string"} and _keeps_all_tags(kind.token):
        given = inputs.get("tags") or {}
        inputs["tags"] = {**default_tags, **given} if isinstance(given, dict) else given
    return inputs


def _keeps_all_tags(token: str) -> bool:
    return "tagsAll" in shapes.of(token)["outputs"]


def changed(old: Values, new: Values, ignored: Sequence[str]) -> set[str]:
    """Answer the properties that differ, without those that the program wants ignored."""
    # A path into a property is the engine's business: it has put the old value back already.
    left_out = {*ignored, "__defaults"}
    return {
        key
        for key in {*old, *new} - left_out
        if old.get(key) != new.get(key) and not (not old.get(key) and _is_empty(new.get(key)))
    }


def _is_empty(value: Any) -> bool:
    return value in (None, [], {})


def unknown_outputs(token: str, inputs: Values) -> Values:
    """Stand in for every output that only the cloud can tell."""
    return {
        name: shapes.UNKNOWN for name in shapes.of(token)["outputs"] if inputs.get(name) is None
    }
