"""Equal questions share a look, and none is answered with an older one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from control.database.looks import SharedLooks

LIMIT_S = 10.0


class Gate:
    """A look that counts its calls and stays open until it is told to end."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.count = 0

    def look(self) -> int:
        self.count += 1
        number = self.count
        self.begun.release()
        assert self.may_end.acquire(timeout=LIMIT_S)
        return number


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(10) as threads:
        yield threads


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.001)


def test_who_ask_during_a_look_share_the_next_one(pool: ThreadPoolExecutor) -> None:
    looks, gate = SharedLooks(), Gate()
    first = pool.submit(looks.ask, "key", gate.look)
    assert gate.begun.acquire(timeout=LIMIT_S)
    others = [pool.submit(looks.ask, "key", gate.look) for _ in range(8)]
    wait_for(lambda: looks.waiting("key") == 8)
    gate.may_end.release(2)
    assert first.result(LIMIT_S) == 1
    assert [other.result(LIMIT_S) for other in others] == [2] * 8
    assert gate.count == 2


def test_who_asks_after_a_look_began_gets_a_later_one(pool: ThreadPoolExecutor) -> None:
    looks, gate = SharedLooks(), Gate()
    asked = [pool.submit(looks.ask, "key", gate.look)]
    for _ in range(3):
        assert gate.begun.acquire(timeout=LIMIT_S)
        asked.append(pool.submit(looks.ask, "key", gate.look))
        wait_for(lambda: looks.waiting("key") == 1)
        gate.may_end.release()
    gate.may_end.release()
    assert [one.result(LIMIT_S) for one in asked] == [1, 2, 3, 4]


def test_different_keys_do_not_wait_for_each_other(pool: ThreadPoolExecutor) -> None:
    looks, gate = SharedLooks(), Gate()
    first = pool.submit(looks.ask, "key", gate.look)
    assert gate.begun.acquire(timeout=LIMIT_S)
    assert looks.ask("other", lambda: "answered") == "answered"
    gate.may_end.release()
    assert first.result(LIMIT_S) == 1


def test_an_error_reaches_who_asked_and_the_next_look_is_fresh() -> None:
    looks = SharedLooks()
    with pytest.raises(KeyError):
        looks.ask("key", lambda: {"here": 1}["gone"])
    assert looks.ask("key", lambda: "here") == "here"


def test_nothing_is_kept_when_nobody_asks() -> None:
    looks = SharedLooks()
    assert looks.ask("key", lambda: 1) == 1
    assert len(looks) == 0
