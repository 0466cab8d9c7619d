"""A whole container execution, claim to finished report, beside the bare engine loop.

Ours is what a user gets: code fetched and unpacked, directories, script, container made, started,
followed and removed, its log sent and stored, every report. The floor creates, starts, waits and
removes by bare HTTP with the same image and network. They take turns, one of each, so that a slow
minute of the engine hits both.
"""

from __future__ import annotations

from benchmarks import servers, system
from benchmarks.floors.containers import EngineConnection, run_once
from benchmarks.http_client import Client
from benchmarks.machine import Summary, percentile, summary
from benchmarks.report import Bar, Outcome
from benchmarks.session import Session

SAMPLES, QUICK_SAMPLES = 10, 4
NETWORK = "bridge"
EXECUTION_LIMIT_S = 60.0
CONFIG = f"""
- step:
    name: nothing
    image: {servers.IMAGE}
    command: "true"
"""


def _execute(ours: system.Talkoot, client: Client) -> float:
    """Run one execution; answer the milliseconds from its claim to its finished report."""
    execution = ours.submit(client, "nothing")
    ended = ours.finished(client, execution, EXECUTION_LIMIT_S)
    return float(ended["duration"]) * 1e3


def measure(session: Session) -> Outcome:
    """Alternate the engine loop and whole executions."""
    with servers.docker_engine(session.scratch) as engine:
        servers.ensure_image(engine)
        with system.one_machine(session.scratch) as ours:
            ours.populate(CONFIG)
            with ours.agent("docker", engine, ours.enrolment_token()):
                return _measure(session, ours, engine)


def _measure(session: Session, ours: system.Talkoot, engine: str) -> Outcome:
    client, floor = ours.client(), EngineConnection(engine)
    floor_p50: list[float] = []
    our_p50: list[float] = []
    for _ in range(session.rounds):
        _execute(ours, client)
        run_once(floor, servers.IMAGE, NETWORK)
        session.wait_quiet()
        bare: list[float] = []
        whole: list[float] = []
        for _ in range(session.sized(SAMPLES, QUICK_SAMPLES)):
            bare.append(run_once(floor, servers.IMAGE, NETWORK))
            whole.append(_execute(ours, client))
        floor_p50.append(percentile(bare, 0.5))
        our_p50.append(percentile(whole, 0.5))
    floor.close()
    client.close()
    return _outcome(summary(our_p50), summary(floor_p50))


def _outcome(ours: Summary, floor: Summary) -> Outcome:
    name = f"create/start/wait/remove, {NETWORK}"
    return Outcome(
        "container",
        bars=(Bar("claim to finished report", "ms", ours, name, floor, 1.05, at_most=True),),
        notes=(f"Ours above the bare loop: {ours.median - floor.median:.0f} ms.",),
    )
