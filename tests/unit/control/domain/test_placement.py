"""Where an execution may run, and the words for why it waits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from control.domain.placement import Circumstances, ordinal, place
from control.domain.states import Status

IDLE = Circumstances(
    environment="gpu-small",
    is_enabled=True,
    owner_quota=0,
    owner_active=0,
    workers_live=2,
    workers_suspect=0,
    workers_busy=0,
    position=1,
    depth=1,
)


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        pytest.param(
            {}, "queued", "next on gpu-small; 2 workers free", id="a-free-worker-is-named"
        ),
        pytest.param({"position": None}, "queued", "in the queue", id="no-place-yet"),
        pytest.param(
            {"position": 3, "depth": 7, "workers_busy": 2},
            "queued",
            "3rd of 7 on gpu-small; 2 workers are busy",
            id="the-place-and-the-busy-workers-are-named",
        ),
        pytest.param(
            {"workers_live": 1, "workers_busy": 1}, "queued", "1 worker is busy", id="one-is-one"
        ),
        pytest.param({"workers_live": 0}, "queued", "talkoot agent", id="nobody-joined"),
        pytest.param(
            {"workers_live": 0, "workers_suspect": 1},
            "queued",
            "1 worker stopped answering",
            id="silent-workers-are-named",
        ),
        pytest.param({"is_enabled": False}, "created", "switched off", id="switched-off-holds"),
        pytest.param(
            {"owner_quota": 2, "owner_active": 2}, "created", "quota is 2", id="a-full-quota-holds"
        ),
        pytest.param({"owner_quota": 2, "owner_active": 1}, "queued", "next", id="one-more-fits"),
    ],
)
def test_place(changes: dict[str, object], status: str, words: str) -> None:
    placement = place(replace(IDLE, **changes))
    assert placement.status is Status(status)
    assert words in placement.reason


def test_a_quota_of_zero_is_no_quota() -> None:
    assert place(replace(IDLE, owner_quota=0, owner_active=1000)).status is Status.QUEUED


@pytest.mark.parametrize(
    ("number", "word"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (112, "112th"), (121, "121st")],
)
def test_ordinals(number: int, word: str) -> None:
    assert ordinal(number) == word
