"""Faults become a tree of fields; every known error has its status."""

from __future__ import annotations

from typing import Any

import pytest

from control.api.errors import STATUSES, tree
from control.domain import errors
from control.domain.errors import FieldError, Invalid


def fault(message: str, code: str = "invalid") -> dict[str, str]:
    """How a fault is answered."""
    return {"message": message, "code": code}


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        pytest.param(
            [FieldError("name", "Taken.", "unique")],
            {"name": [fault("Taken.", "unique")]},
            id="one-field",
        ),
        pytest.param(
            [FieldError("name", "Short."), FieldError("name", "Odd.")],
            {"name": [fault("Short."), fault("Odd.")]},
            id="two-faults-of-one-field",
        ),
        pytest.param(
            [FieldError("parameters.a.b", "No."), FieldError("inputs.x", "Yes.")],
            {"parameters": {"a.b": [fault("No.")]}, "inputs": {"x": [fault("Yes.")]}},
            id="a-name-may-hold-dots",
        ),
        pytest.param(
            [FieldError("inputs", "All."), FieldError("inputs.x", "One.")],
            {"inputs": {"non_field_errors": [fault("All.")], "x": [fault("One.")]}},
            id="the-field-and-then-a-part-of-it",
        ),
        pytest.param(
            [FieldError("inputs.x", "One."), FieldError("inputs", "All.")],
            {"inputs": {"x": [fault("One.")], "non_field_errors": [fault("All.")]}},
            id="a-part-of-it-and-then-the-field",
        ),
    ],
)
def test_faults_are_a_tree(faults: list[FieldError], expected: dict[str, Any]) -> None:
    assert tree(Invalid(*faults)) == expected


def test_every_error_there_is_has_a_status() -> None:
    kinds = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.TalkootError)
        and kind is not errors.TalkootError
    }
    assert kinds == set(STATUSES)
