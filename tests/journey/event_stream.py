"""Reads a log's server-sent events as a browser does, over connections that are cut."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx

from tests.journey.project import Execution


@dataclass
class Follower:
    """What an open page has of a log; `last` is what a browser sends as Last-Event-ID."""

    execution: Execution
    numbers: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    last: str = ""
    is_over: bool = False
    connections: int = 0

    def follow(self, *, cut_after: int) -> None:
        """Read to the end, on a new connection after every `cut_after` events."""
        while not self.is_over:
            self._read(cut_after)

    def _read(self, events: int) -> None:
        place = self.execution.place
        headers = {"Authorization": f"Token {place.token}"}
        if self.last:
            headers["Last-Event-ID"] = self.last
        url = f"{place.url}/executions/{self.execution.id}/log/stream"
        self.connections += 1
        with (
            httpx.Client(trust_env=False, timeout=60) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            answer.raise_for_status()
            held: list[str] = []
            for line in answer.iter_lines():
                if line:
                    held.append(line)
                    continue
                events -= self._take(held)
                held = []
                if self.is_over or events <= 0:
                    return

    def _take(self, held: list[str]) -> bool:
        """Take one event; true where it had lines."""
        fields = [line.partition(": ")[::2] for line in held if not line.startswith(":")]
        kind = next((text for name, text in fields if name == "event"), "")
        for name, text in fields:
            if name == "id":
                self.last = text
        if kind == "end":
            self.is_over = True
        if kind != "lines":
            return False
        head, *lines = [text for name, text in fields if name == "data"]
        first, count = map(int, head.split())
        assert len(lines) == count
        self.numbers += range(first, first + count)
        self.lines += [line.split(" ", 2)[2] for line in lines if line.split(" ", 2)[1] == "o"]
        return True
