"""Properties of outputs: `<file>.metadata.json` and `valohai.metadata.jsonl`.

Neither is an output itself. Source: client-contract.md 4.7.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

SUFFIX = ".metadata.json"
TABLE = "valohai.metadata.jsonl"


def is_sidecar(name: str, names: Collection[str]) -> bool:
    """Say whether a file only describes another; `names` holds all outputs, also earlier ones."""
    return name == TABLE or (name.endswith(SUFFIX) and name.removesuffix(SUFFIX) in names)


def metadata_of(outputs: Path, name: str, table: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Join both forms for one file; the table wins key by key."""
    return read_sidecar(outputs / (name + SUFFIX)) | table.get(name, {})


def read_sidecar(path: Path) -> dict[str, Any]:
    """Read a side-car; what is no object counts as none."""
    try:
        values: Any = json.loads(path.read_bytes(), parse_constant=_nothing)
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", values) if isinstance(values, dict) else {}


def read_table(outputs: Path) -> dict[str, dict[str, Any]]:
    """Read the table: the last line for a file holds; broken lines are passed over."""
    try:
        text = (outputs / TABLE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    table: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        try:
            row: Any = json.loads(line, parse_constant=_nothing)
        except ValueError:
            continue
        fields = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
        if isinstance(fields.get("metadata"), dict):
            table[str(fields.get("file", "")).removeprefix("./")] = fields["metadata"]
    return table


def _nothing(_: str) -> None:
    """Read NaN and Infinity as null."""
