"""What goes wrong in the world, and when: told by tests, asked for at every step."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS: Mapping[str, str] = {
    "capacity": "no machine of instance_type in zone for market; the launch fails in its own time",
    "quota": "the account's limit for instance_type or market is reached",
    "no-image": "image does not exist",
    "outage": "no answer: the connection is cut, or with mode=hang held for `seconds` first",
    "credentials": "the keys are refused, whatever they are",
    "denied": "the keys have no right to `operation`",
    "throttle": "too many calls of `operation`",
    "error": "`operation` fails with `code`, `message` and `status`",
    "slow": "`operation` takes `seconds` longer; with when=after it is done, and then silent",
    "stale": "reads of `operation` answer what they answered before this fault",
    "empty": "lists of `operation` have nothing in them",
    "provider": "the provider takes `seconds` more for `verb` on `type`, or fails with `message`",
    "no-boot": "machines of instance_type start and never run anything (for who boots them)",
}


@dataclass
class Fault:
    """One fault. A fact it does not name matches any; `times` and `until` end it by themselves."""

    id: int
    kind: str
    facts: Mapping[str, Any]
    times: int | None = None
    until: float | None = None  # monotonic seconds
    frozen: dict[Any, Any] = field(default_factory=dict)

    def matches(self, facts: Mapping[str, Any]) -> bool:
        return all(
            facts[name] == wanted
            for name, wanted in self.facts.items()
            if name in facts and wanted not in ("", "*")
        )

    def number(self, name: str, otherwise: float = 0.0) -> float:
        return float(self.facts.get(name, otherwise))

    def text(self, name: str, otherwise: str = "") -> str:
        return str(self.facts.get(name, otherwise))


class Faults:
    """The faults that are on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def add(
        self, kind: str, facts: Mapping[str, Any], *, times: int | None, for_s: float | None
    ) -> Fault:
        """Switch one on. Raises ValueError for a kind that nobody knows."""
        if kind not in KINDS:
            raise ValueError(f"no fault is called {kind!r}; there are {', '.join(KINDS)}")
        until = None if for_s is None else time.monotonic() + for_s
        with self._lock:
            fault = Fault(next(self._ids), kind, dict(facts), times, until)
            self._faults.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        with self._lock:
            self._faults = [f for f in self._faults if fault_id not in (None, f.id)]

    def take(self, kind: str, **facts: Any) -> Fault | None:
        """Answer the first fault of this kind that matches, and count it as happened."""
        with self._lock:
            now = time.monotonic()
            self._faults = [f for f in self._faults if f.until is None or f.until > now]
            for fault in self._faults:
                if fault.kind == kind and fault.matches(facts):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times <= 0:
                            self._faults.remove(fault)
                    return fault
        return None
