"""What the world knows beside moto: its faults, its clockwork's settings, what happened."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from tests.engines.aws.activities import Activities
from tests.engines.aws.faults import Faults

ACCOUNT = "123456789012"


@dataclass
class Pace:
    """How long things take in the world, in seconds."""

    launch_s: float = 0.3
    end_s: float = 0.2
    retry_s: float = 1.0  # until a group tries again after a failed launch
    heal_s: float = 0.5  # until a group sees that a member is gone


@dataclass
class State:
    """One world. `lock` is held over every change of moto's records and of ours."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    faults: Faults = field(default_factory=Faults)
    activities: Activities = field(default_factory=Activities)
    pace: Pace = field(default_factory=Pace)
    console: dict[str, str] = field(default_factory=dict)
    notices: dict[str, str] = field(default_factory=dict)  # instance to when it is taken, ISO 8601
    resources: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _calls: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=100_000))
    _machines: list[dict[str, Any]] = field(default_factory=list)
    _ended: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.dice = random.Random(0)
        self._news = threading.Condition()

    def remember_call(self, **facts: Any) -> None:
        self._calls.append({"n": next(self._numbers), "at": time.time(), **facts})

    def calls(self, after: int) -> list[dict[str, Any]]:
        return [call for call in list(self._calls) if call["n"] > after]

    def tell_machine(self, event: str, **facts: Any) -> None:
        """Note that a machine started, ended (once) or is to be taken back."""
        with self._news:
            if event == "ended" and facts["instance_id"] in self._ended:
                return
            if event == "ended":
                self._ended.add(facts["instance_id"])
            fact = {"n": len(self._machines) + 1, "at": time.time(), "event": event, **facts}
            self._machines.append(fact)
            self._news.notify_all()

    def machines(self, after: int, wait_s: float) -> list[dict[str, Any]]:
        """List what happened to machines after event `after`, waiting for the first of it."""
        with self._news:
            self._news.wait_for(lambda: len(self._machines) > after, timeout=wait_s)
            return self._machines[after:]


world = State()
"""The one world of this process."""
