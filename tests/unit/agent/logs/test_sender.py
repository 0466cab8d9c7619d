"""The last lines of a step go in one request, and every line goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import wire
from agent.logs.lines import Masker
from agent.logs.sender import Sender
from agent.logs.spool import Spool

LIMIT_S = 10.0


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path, first=0, masker=Masker(()))
    yield made
    made.close()


class Control:
    """Takes blocks as the control service does: in order, each line once."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, int, bytes]] = []

    def take(self, first: int, count: int, block: bytes) -> wire.LogReceipt:
        self.blocks.append((first, count, block))
        return wire.LogReceipt(received=first + count - 1, stored=first + count - 1)


def test_lines_said_one_after_the_other_before_the_end_go_in_one_block(spool: Spool) -> None:
    control, failures = Control(), list[Exception]()
    sender = Sender(spool, control.take, lambda _: None, failures.append)
    for text in ("The command ended with exit status 0", "0 outputs stored"):
        spool.say(text)
    spool.close_for_writing()
    sender.start()
    assert sender.finished.wait(LIMIT_S)
    assert [(first, count) for first, count, _ in control.blocks] == [(0, 2)]
    assert control.blocks[0][2].count(b"\n") == 2
    assert failures == []


def test_what_is_said_after_a_block_follows_in_the_next(spool: Spool) -> None:
    control = Control()
    sender = Sender(spool, control.take, lambda _: spool.close_for_writing(), lambda _: None)
    spool.say("Started")
    sender.start()
    assert sender.finished.wait(LIMIT_S)
    assert [(first, count) for first, count, _ in control.blocks] == [(0, 1)]
