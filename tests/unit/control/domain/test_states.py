"""The state machine: its table, and the drawing beside it."""

from __future__ import annotations

import pytest

from control.domain import states
from control.domain.states import FINAL, REASONS, TRANSITIONS, Status, may_become, sources_of


def test_final_states_never_change_again() -> None:
    assert all(not TRANSITIONS[status] for status in FINAL)


def test_every_state_is_in_the_table_and_in_the_drawing() -> None:
    assert set(TRANSITIONS) == set(Status)
    drawing = states.__doc__ or ""
    assert all(status.value in drawing for status in Status)


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        pytest.param("created", "queued", True, id="a-held-execution-may-queue"),
        pytest.param("created", "started", False, id="nothing-starts-without-queueing"),
        pytest.param("queued", "started", True, id="a-claim-starts-it"),
        pytest.param("queued", "complete", False, id="nothing-completes-without-running"),
        pytest.param("started", "queued", True, id="a-lost-attempt-goes-back"),
        pytest.param("stopping", "queued", False, id="what-is-being-stopped-is-not-run-again"),
        pytest.param("stopping", "complete", True, id="it-may-end-well-before-the-stop-arrives"),
        pytest.param("stopped", "started", False, id="a-stopped-execution-stays-stopped"),
    ],
)
def test_transitions(old: str, new: str, allowed: bool) -> None:
    assert may_become(Status(old), Status(new)) is allowed
    assert (Status(old) in sources_of(Status(new))) is allowed


def test_only_the_platforms_faults_are_tried_again() -> None:
    assert all(reason.fault == "platform" for reason in REASONS.values() if reason.is_retryable)
    assert all(reason.status in FINAL for reason in REASONS.values())
    assert all(reason.sentence.endswith(".") for reason in REASONS.values())
