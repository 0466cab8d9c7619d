"""Errors of a form, by the field they are shown at."""

from __future__ import annotations

from control.domain.errors import Invalid


def by_field(error: Invalid) -> dict[str, str]:
    """Join the messages of each field."""
    found: dict[str, list[str]] = {}
    for fault in error.errors:
        found.setdefault(fault.field, []).append(fault.message)
    return {field: " ".join(messages) for field, messages in found.items()}
