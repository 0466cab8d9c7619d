from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from agent import wire
from agent.logs.lines import Masker, restamp
from agent.logs.points import BURST, Allowance, points_in
from agent.logs.sender import Sender
from agent.logs.spool import Spool

T = "2030-01-02T03:04:05.%06d"


def line(micro: int, text: str, stream: str = "o") -> bytes:
    return f"{T % micro} {stream} {text}\n".encode()


def open_spool(folder: Path, *secrets: str, first: int = 1) -> Spool:
    return Spool(folder, first=first, masker=Masker(secrets))


def test_lines_beyond_the_cursor_are_dropped_and_numbered_again(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.append(line(1, "a") + line(2, "b"), 20)
    spool.close()
    with (tmp_path / "spool").open("ab") as file:
        file.write(line(3, "half a block that no cursor cov"))
    again = open_spool(tmp_path)
    assert (again.last_line, again.position) == (2, 20)
    again.append(line(3, "c"), 30)
    assert again.read(0, 10_000) == line(1, "a") + line(2, "b") + line(3, "c")
    again.close()


def test_times_increase_whatever_the_source_says(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.say("Started")  # stamped now, long before 2030
    spool.append(line(5, "a") + line(6, "b"), 1)
    spool.append(line(1, "c") + line(9, "d"), 2)
    stamps = [one[:26] for one in spool.read(0, 10_000).splitlines()]
    assert stamps == sorted(set(stamps))
    assert stamps[-1].decode() == T % 9
    spool.close()


def test_restamping_stops_where_the_times_are_later_again() -> None:
    block = line(1, "a") + line(2, "b") + line(9, "c")
    assert restamp(block, (T % 5).encode()) == line(6, "a") + line(7, "b") + line(9, "c")


def test_secrets_are_masked_in_text_and_never_in_times(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "2030", "multi\nline", "tok", "token")
    spool.append(line(1, "2030 token multi line 03:04") + line(2, "plain"), 1)
    assert spool.read(0, 1000) == line(1, "**** **** **** **** 03:04") + line(2, "plain")
    spool.close()


def test_a_write_that_fails_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = open_spool(tmp_path)
    spool.append(line(1, "a"), 1)
    real = os.write

    def fails(file: int, data: Any) -> int:
        real(file, bytes(data[:5]))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", fails)
    with pytest.raises(OSError, match="space"):
        spool.append(line(2, "b"), 2)
    monkeypatch.undo()
    spool.append(line(3, "c"), 3)
    assert spool.read(0, 1000) == line(1, "a") + line(3, "c")
    assert spool.last_line == 2
    spool.close()


def test_the_sender_goes_back_and_forth_as_it_is_told(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, first=11)
    for number in range(100):
        spool.append(line(number, f"line {number}"), number)
    spool.close_for_writing()
    got: list[tuple[int, int]] = []
    answers: list[wire.LogReceipt | int] = [40, 20, 11]

    def deliver(first: int, count: int, block: bytes) -> wire.LogReceipt | int:
        got.append((first, count))
        assert block.startswith(line(first - 11, f"line {first - 11}"))
        return answers.pop(0) if answers else wire.LogReceipt(first + count - 1, 0)

    errors: list[Exception] = []
    sender = Sender(spool, deliver, lambda _: None, errors.append)
    sender.start()
    assert sender.finished.wait(10)
    assert not errors
    assert got == [(11, 100), (40, 71), (20, 91), (11, 100)]
    spool.close()


def test_points_have_the_numbers_of_their_lines() -> None:
    block = (
        line(1, "text o {")
        + line(2, '{"a": 1, "b": Infinity, "c": 1e999}')
        + line(3, '{"a": 2}', "e")
        + line(4, '{"a": ')
        + line(5, '{"a": 3}')
    )
    found = list(points_in(block, 7))
    assert [(one.number, one.values) for one in found] == [
        (8, {"a": 1, "b": None, "c": None}),
        (11, {"a": 3}),
    ]
    assert found[0].time == T % 2


def test_a_burst_is_allowed_and_then_fifty_a_second() -> None:
    allowance = Allowance()
    assert sum(allowance.take(1_000_000 + number) for number in range(BURST * 2)) == BURST
    assert sum(allowance.take(3_000_000 + number) for number in range(BURST)) == 100
    assert allowance.dropped == BURST + BURST - 100
