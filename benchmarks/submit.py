"""Submit at 64 connections: the row durable and the queue entry pushed before the 201.

Ours is `talkoot web` on PostgreSQL; the floor is bare Flask and one durable, group-committed
INSERT, on the same granian settings and the same cluster. Celery and Procrastinate have no HTTP:
one producer each, as fast as it can.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import httpx

from benchmarks import peer_venv, servers, system
from benchmarks.load import Load, Target, press
from benchmarks.machine import Summary, summary
from benchmarks.processes import free_port, running, wait_until
from benchmarks.report import Bar, Fact, Outcome
from benchmarks.session import Session

CONNECTIONS = 64
LENGTH_S, QUICK_LENGTH_S = 4, 2
CELERY_JOBS, PROCRASTINATE_JOBS = 2500, 600
CONFIG = """
- step:
    name: train
    image: busybox
    command: python train.py {parameters}
    parameters:
      - name: epochs
        type: integer
        default: 10
      - name: learning_rate
        type: float
        default: 0.001
"""
FLOOR = Path(__file__).resolve().parent / "floors"


def _granian_options() -> list[str]:
    """Answer the options of `talkoot web`, so that the floor runs on the same server."""
    workers = str(min(2, os.cpu_count() or 1))
    return ["--interface", "wsgi", "--workers", workers, "--blocking-threads", "64", "--no-log"]


def _floor_round(session: Session, database_url: str, body: str) -> Load:
    port = free_port()
    argv = [str(Path(sys.executable).with_name("granian")), "--host", "127.0.0.1"]
    argv += ["--port", str(port), *_granian_options(), "flask_insert:app"]
    url = database_url.replace("postgresql://", "postgresql+psycopg://", 1)
    with running(argv, session.scratch / "floor.log", env={"DB_URL": url}, cwd=FLOOR):
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}/ready"), "the answer of the floor")
        return _pressed(session, Target(port, "/group", body))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def _pressed(session: Session, target: Target) -> Load:
    press(target, CONNECTIONS, 1)
    session.wait_quiet()
    return press(target, CONNECTIONS, session.sized(LENGTH_S, QUICK_LENGTH_S))


def _our_round(session: Session, ours: system.Talkoot, body: str) -> Load:
    return _pressed(
        session, Target(ours.api_port, "/api/v0/executions/", body, f"Token {ours.token}")
    )


def _peer_round(session: Session, env: dict[str, str], peer: str, count: int) -> float:
    peer_venv.drive(session.peers, env, peer, "setup", 0)
    session.wait_quiet()
    size = session.sized(count, count // 4)
    return float(peer_venv.drive(session.peers, env, peer, "submit", size)["per_s"])


def _rates(loads: list[Load]) -> Summary:
    return summary([load.per_s for load in loads])


def measure(session: Session) -> Outcome:
    """Alternate the floor, ours and the peers."""
    with servers.valkey(session.scratch) as queue_url, servers.postgresql(session.scratch) as ours:
        return _measure(session, queue_url, ours)


def _measure(session: Session, queue_url: str, cluster: servers.Cluster) -> Outcome:
    floor_url, our_url = cluster.create("floor"), cluster.create("talkoot")
    env = session.peer_env(queue_url.replace("/0", "/1"), cluster.create("peers"))
    floor: list[Load] = []
    pressed: list[Load] = []
    celery: list[float] = []
    procrastinate: list[float] = []
    session.record.write_bytes(b"")
    with system.production(session.scratch, our_url, queue_url) as first:
        first.populate(CONFIG)
    for _ in range(session.rounds):
        with system.production(session.scratch, our_url, queue_url) as ours:
            ours.continue_as(first)
            body = json.dumps(
                ours.submission("train") | {"parameters": {"epochs": 5, "learning_rate": 0.01}}
            )
            pressed.append(_our_round(session, ours, body))
        floor.append(_floor_round(session, floor_url, body))
        celery.append(_peer_round(session, env, "celery_jobs", CELERY_JOBS))
        procrastinate.append(_peer_round(session, env, "procrastinate_jobs", PROCRASTINATE_JOBS))
    return _outcome(pressed, floor, summary(celery), summary(procrastinate))


def _outcome(
    pressed: list[Load], floor: list[Load], celery: Summary, procrastinate: Summary
) -> Outcome:
    ours = _rates(pressed)
    errors = sum(load.errors for load in pressed)
    floor_p99 = summary([load.p99_ms for load in floor])
    our_p99 = summary([load.p99_ms for load in pressed])
    name = "Flask and one durable INSERT"
    return Outcome(
        "submit",
        bars=(
            Bar("POSTs", "/s", ours, name, _rates(floor), 0.6, at_most=False),
            Bar("POSTs", "/s", ours, name, _rates(floor), 0.8, at_most=False, is_goal=True),
            Bar("POSTs", "/s", ours, "Celery", celery, 1.2, at_most=False),
            Bar("POSTs", "/s", ours, "Procrastinate", procrastinate, 3.0, at_most=False),
        ),
        facts=(Fact("every POST", errors == 0, f"{errors} answers were not 201."),),
        notes=(f"p99: ours {our_p99} ms, floor {floor_p99} ms.",),
    )
