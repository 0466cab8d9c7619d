"""Dispatch on an idle system: from the answer of the POST to the agent holding the claim.

One execution at a time, random gaps of 10-50 ms. The submitter and the bare agent are processes
of their own, as the peers' producer and worker are; both sides wait for the same record file.
The peers' clock starts before their enqueue call, ours when the POST has been answered, as the
bar says; the time from sending the POST is printed too.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import peer_venv, servers, system
from benchmarks.http_client import Client
from benchmarks.machine import percentile, summary
from benchmarks.peers import record
from benchmarks.processes import running, wait_until
from benchmarks.report import Bar, Outcome
from benchmarks.session import Session

SAMPLES, QUICK_SAMPLES = 100, 25
WARM_UP = 5
POLL_S = 0.0002
JOB_LIMIT_S = 15.0
CONFIG = """
- step:
    name: nothing
    image: busybox
    command: "true"
"""
WORKERS = {
    "blmove": ["python", "blmove.py"],
    "minique_jobs": ["minique", "-q", "work", "--allow-callable", "record.*", "-u"],
    "celery_jobs": [
        "celery",
        "-A",
        "celery_jobs",
        "worker",
        "-P",
        "prefork",
        "-c",
        "1",
        "-l",
        "ERROR",
    ],
}
Samples = dict[str, list[float]]


def _peer_round(session: Session, peer: str, queue_url: str) -> Samples:
    env = session.peer_env(queue_url)
    session.record.write_bytes(b"")
    program, *words = WORKERS[peer]
    argv = [str(session.peers / program), *words, *([queue_url] if words[-1] == "-u" else [])]
    log = session.scratch / f"{peer}.log"
    with running(argv, log, env={**env, "PYTHONPATH": "."}, cwd=peer_venv.PEERS):
        peer_venv.drive(session.peers, env, peer, "latency", WARM_UP)
        session.wait_quiet()
        count = session.sized(SAMPLES, QUICK_SAMPLES)
        return peer_venv.drive(session.peers, env, peer, "latency", count)


@contextmanager
def bare_agent(session: Session, ours: system.Talkoot) -> Iterator[None]:
    """Keep a bare agent up that claims and ends executions of the bench's environment."""
    argv = [sys.executable, "-m", "benchmarks.bare_agent", str(ours.streams_port)]
    argv += [str(ours.api_port), ours.enrolment_token()]
    log = session.scratch / f"bare-agent-{time.monotonic_ns()}.log"
    session.record.write_bytes(b"")
    with running(argv, log, env={"BENCH_RECORD": str(session.record)}) as process:
        wait_until(lambda: b"ready" in log.read_bytes() or process.poll() is not None, "an agent")
        yield


def _submit_one(client: Client, body: dict[str, object]) -> tuple[float, float]:
    """Submit one execution; answer the milliseconds from its answer, and from its sending."""
    before = record.count()
    sent_ns = time.monotonic_ns()
    answered_ns = client.call("POST", "/api/v0/executions/", body).at_ns
    end = time.monotonic() + JOB_LIMIT_S
    while record.count() <= before and time.monotonic() < end:
        time.sleep(POLL_S)
    held_ns = record.entries()[before][1]
    return (held_ns - answered_ns) / 1e6, (held_ns - sent_ns) / 1e6


def _our_round(session: Session, ours: system.Talkoot) -> Samples:
    os.environ["BENCH_RECORD"] = str(session.record)
    body = ours.submission("nothing")
    found: Samples = {"ms": [], "sent_ms": []}
    with bare_agent(session, ours):
        client = ours.client()
        for sample in range(WARM_UP + session.sized(SAMPLES, QUICK_SAMPLES)):
            if sample == WARM_UP:
                session.wait_quiet()
                found = {"ms": [], "sent_ms": []}
            from_answer, from_sending = _submit_one(client, body)
            found["ms"].append(from_answer)
            found["sent_ms"].append(from_sending)
            time.sleep(random.uniform(0.01, 0.05))
        client.close()
    return found


def _bars(rounds: dict[str, list[Samples]], shape: str) -> tuple[Bar, ...]:
    def of(name: str, share: float) -> list[float]:
        return [percentile(found["ms"], share) for found in rounds[name]]

    half, tail = summary(of(shape, 0.5)), summary(of(shape, 0.99))
    blmove, minique = summary(of("blmove", 0.5)), summary(of("minique_jobs", 0.5))
    celery = summary(of("celery_jobs", 0.99))
    return (
        Bar(f"p50, {shape}", "ms", half, "bare BLMOVE", blmove, 2.0, at_most=True, is_goal=True),
        Bar(f"p50, {shape}", "ms", half, "minique", minique, 1.0, at_most=True),
        Bar(f"p99, {shape}", "ms", tail, "Celery", celery, 0.1, at_most=True),
    )


def _note(rounds: list[Samples], shape: str) -> str:
    sent = [percentile(found["sent_ms"], 0.5) for found in rounds]
    return f"From sending the POST to the claim, {shape}: p50 {summary(sent)} ms."


def measure(session: Session) -> Outcome:
    """Alternate the peers and ours, `talkoot serve` and the processes apart."""
    rounds: dict[str, list[Samples]] = {}

    def keep(name: str, found: Samples) -> None:
        rounds.setdefault(name, []).append(found)

    with (
        servers.valkey(session.scratch) as peers_queue,
        system.one_machine(session.scratch) as ours,
    ):
        ours.populate(CONFIG)
        for _ in range(session.rounds):
            for peer in WORKERS:
                keep(peer, _peer_round(session, peer, peers_queue))
            keep("talkoot serve", _our_round(session, ours))
    return Outcome(
        "dispatch",
        bars=_bars(rounds, "talkoot serve"),
        notes=(_note(rounds["talkoot serve"], "talkoot serve"),),
    )
