"""`talkoot infra` killed at every checkpoint of an `up`: the next one recovers by itself."""

from __future__ import annotations

import random

import pytest

from tests.stacks.infra.process import Infra, wait_for

WAIT_S = 0.4  # the cloud takes so long before and after it changes something
CHECKPOINTS = {
    "the-lock-is-taken": lambda infra: infra.locks,
    "the-first-resource-is-asked-for": lambda infra: len(infra.calls) >= 1,
    "the-first-resource-is-there-and-not-recorded": lambda infra: len(infra.calls) >= 2,
    "the-group-is-asked-for": lambda infra: len(infra.calls) >= 3,
    "the-group-is-there-and-not-recorded": lambda infra: len(infra.calls) >= 4,
}


def recovers(infra: Infra, size: int) -> None:
    """Start again and check the four promises."""
    infra.start()
    wait_for(lambda: infra.group.applied == size, "the size")
    assert infra.desired == size, "the size is right"
    assert infra.locks == [], "the lock is cleared"
    lost = [run for run in infra.runs if run.status == "lost"]
    done = [call for call in infra.calls if call.startswith("created machines")]
    for run in lost:
        assert run.error.startswith("Its process died."), "people can read what happened"
    if len(done) > 1:  # made, and the engine died before it was recorded: named to people
        assert any("had not been confirmed" in run.error for run in lost)
    assert not [run for run in infra.runs if run.status == "running"]


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_everything_killed_at(infra: Infra, checkpoint: str) -> None:
    infra.configure(wait=str(WAIT_S))
    infra.start()
    infra.want(3)
    wait_for(lambda: CHECKPOINTS[checkpoint](infra), checkpoint)
    infra.kill_all()
    recovers(infra, 3)


@pytest.mark.parametrize("checkpoint", random.Random(4).sample(sorted(CHECKPOINTS), 2))
def test_the_process_alone_killed_at(infra: Infra, checkpoint: str) -> None:
    infra.configure(wait=str(WAIT_S))
    infra.start()
    infra.want(3)
    wait_for(lambda: CHECKPOINTS[checkpoint](infra), checkpoint)
    infra.kill()
    recovers(infra, 3)


def test_a_resize_that_is_killed_ends_at_the_newest_size(infra: Infra) -> None:
    infra.start()
    infra.want(2)
    wait_for(lambda: infra.group.applied == 2, "the first size")
    infra.configure(wait="1")
    infra.want(4)
    wait_for(lambda: "update machines" in infra.calls, "the resize")
    infra.kill_all()
    infra.want(5)
    infra.configure(wait="0")
    infra.start()
    wait_for(lambda: infra.group.applied == 5, "the newest size")
    assert infra.desired == 5
    assert infra.locks == []
