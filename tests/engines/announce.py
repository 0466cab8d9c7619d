"""Tells the person who watches the tests what takes long, past pytest's capture."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

_uncaptured: list[Callable[[], AbstractContextManager[None]]] = []


def past(uncaptured: Callable[[], AbstractContextManager[None]]) -> None:
    """Say things inside this context from now on."""
    _uncaptured[:] = [uncaptured]


def say(sentence: str) -> None:
    """Write one line to the terminal."""
    with ExitStack() as stack:
        for uncaptured in _uncaptured:
            stack.enter_context(uncaptured())
        sys.stderr.write(f"\n{sentence}\n")
        sys.stderr.flush()
