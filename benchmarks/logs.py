"""Container output to an open page, beside one stream entry a line, end to end.

Ours: a container prints 118-byte lines, the real agent sends them, a reader of the execution's
event stream counts them. The peer: a producer XADDs the same lines, pipelined, and an asyncio
server feeds the same reader. Both clocks run from the first line seen to the last.

Then nothing may be lost: a container prints numbered lines, the agent is killed by SIGKILL in the
middle and started again, and the whole log must hold each number once and in order.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import servers, system
from benchmarks.http_client import Client
from benchmarks.machine import summary
from benchmarks.processes import (
    BenchError,
    free_port,
    listens,
    output_of,
    running,
    wait_until,
)
from benchmarks.report import Bar, Fact, Outcome
from benchmarks.session import Session

LINE = (
    "2026-01-01T00:00:00.000000Z stdout step=0001234 loss=0.123456 acc=0.987654 lr=0.001"
    " eta=00:12:34 gpu=81% mem=12.3GiB"
)
MARKER = "step=0001234"
LINES, QUICK_LINES = 300_000, 60_000
BURSTS, BURST_LINES = 8, 10_000
LIMIT_S = 120.0
HERE = Path(__file__).resolve().parent


def _config(line_count: int) -> str:
    burst = f"seq $((k * {BURST_LINES} + 1)) $(((k + 1) * {BURST_LINES}))"
    numbered = f"k=0; while [ $k -lt {BURSTS} ]; do {burst}; sleep 1; k=$((k + 1)); done"
    return json.dumps(
        [
            {
                "step": {
                    "name": "flood",
                    "image": servers.IMAGE,
                    "command": f"yes '{LINE}' | head -n {line_count}",
                }
            },
            {"step": {"name": "numbered", "image": servers.IMAGE, "command": numbered}},
        ]
    )


class Reader:
    """The open page, a process of its own."""

    def __init__(self, port: int, path: str, line_count: int, env: dict[str, str]) -> None:
        argv = [sys.executable, str(HERE / "line_reader.py"), "127.0.0.1", str(port), path]
        self._process = subprocess.Popen(
            [*argv, MARKER, str(line_count), str(LIMIT_S)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **env},
        )
        if (self._process.stdout is None) or self._process.stdout.readline() != "open\n":
            raise BenchError("The log stream did not open.")

    def rate(self, line_count: int) -> float:
        """Wait for all lines; answer the lines a second."""
        printed, _ = self._process.communicate(timeout=LIMIT_S + 10)
        found = json.loads(printed)
        if found["lines"] != line_count:
            raise BenchError(f"The reader saw {found['lines']} of {line_count} lines.")
        return line_count / found["seconds"]

    def close(self) -> None:
        """End the reader if it still runs."""
        self._process.kill()
        self._process.wait()


@contextmanager
def reading(port: int, path: str, count: int, env: dict[str, str]) -> Iterator[Reader]:
    """Keep a page open."""
    reader = Reader(port, path, count, env)
    try:
        yield reader
    finally:
        reader.close()


def _peer_round(session: Session, queue_url: str, number: int, line_count: int) -> float:
    port, key = free_port(), f"log-{number}"
    env = session.peer_env(queue_url)
    tool = [sys.executable, str(HERE / "floors" / "xadd_lines.py")]
    with running([*tool, "serve", str(port)], session.scratch / "xadd.log", env=env):
        wait_until(lambda: listens(port), "the answer of the peer")
        session.wait_quiet()
        with reading(port, f"/{key}", line_count, {}) as reader:
            output_of([*tool, "produce", key, str(line_count), LINE], env=env)
            return reader.rate(line_count)


def _our_round(session: Session, ours: system.Talkoot, client: Client, line_count: int) -> float:
    session.wait_quiet()
    execution = ours.submit(client, "flood")
    env = {"BENCH_AUTHORIZATION": f"Token {ours.token}"}
    with reading(ours.streams_port, _stream_path(execution), line_count, env) as reader:
        rate = reader.rate(line_count)
    ours.finished(client, execution, LIMIT_S)
    return rate


def _stream_path(execution: str) -> str:
    return f"/executions/{execution}/log/stream"


def _numbers(events: dict[str, Any]) -> list[int]:
    return [
        int(event["message"])
        for event in events["events"]
        if event["stream"] == "stdout" and event["message"].isdigit()
    ]


def _killed_round(ours: system.Talkoot, client: Client, agent: system.Agent) -> Fact:
    """Kill the agent in the middle; compare the whole log with what was printed."""
    execution = ours.submit(client, "numbered")
    events = f"/api/v0/executions/{execution}/events/"

    def has_some() -> bool:
        return bool(_numbers(client.call("GET", f"{events}?limit=50").body))

    wait_until(has_some, "the first line of a step", LIMIT_S)
    agent.kill()
    agent.start()
    ours.finished(client, execution, LIMIT_S)
    printed = BURSTS * BURST_LINES
    seen = _numbers(client.call("GET", f"{events}?limit=0").body)
    lost, doubled = printed - len(set(seen)), len(seen) - len(set(seen))
    return Fact(
        "agent killed in the middle",
        seen == list(range(1, printed + 1)),
        f"of {printed:,} lines {lost:,} were lost and {doubled:,} doubled.",
    )


def measure(session: Session) -> Outcome:
    """Alternate the peer and ours, then kill an agent."""
    count = session.sized(LINES, QUICK_LINES)
    with (
        servers.valkey(session.scratch) as queue_url,
        servers.docker_engine(session.scratch) as engine,
        system.one_machine(session.scratch) as ours,
    ):
        servers.ensure_image(engine)
        ours.populate(_config(count))
        client = ours.client()
        with ours.agent("docker", engine, ours.enrolment_token()) as agent:
            peer: list[float] = []
            rates: list[float] = []
            for number in range(session.rounds):
                peer.append(_peer_round(session, queue_url, number, count))
                rates.append(_our_round(session, ours, client, count))
            fact = _killed_round(ours, client, agent)
    name = "one XADD a line"
    bar = Bar("to an open page", "lines/s", summary(rates), name, summary(peer), 2.5, at_most=False)
    return Outcome("logs", bars=(bar,), facts=(fact,))
