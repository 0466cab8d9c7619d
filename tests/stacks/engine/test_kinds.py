"""Every kind of stack goes through the real engine: up, no change, preview, refresh, destroy.

Its preview passes the policy checks. A group's life is in test_group_life.py.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.stacks.engine.project import BASE, Project

PASSWORD = "0123456789" * 4


def _is_quiet(checkout: Project, stack: str) -> None:
    assert set(checkout.up(stack)) == {"same"}
    assert set(checkout.refresh(stack)) == {"same"}
    preview = checkout.preview(stack)
    assert preview.changes == {"same"}
    assert preview.broken_rules() == ""


def test_a_base_that_is_up_stays_as_it_is(checkout: Project) -> None:
    _is_quiet(checkout, BASE)


@pytest.mark.parametrize("kind", ["control", "inference"])
def test_a_stack_is_made_stays_and_ends(
    checkout: Project, end_of: Callable[[str], None], kind: str
) -> None:
    stack = f"prod-aws-eu-west-1-{kind}"
    checkout.add(stack)
    if kind == "control":
        checkout.pulumi("config", "set", "--secret", "--stack", stack, "queuePassword", PASSWORD)
    assert set(checkout.up(stack)) == {"create"}
    _is_quiet(checkout, stack)
    end_of(stack)
