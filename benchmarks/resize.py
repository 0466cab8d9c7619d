"""A resize of one group by `talkoot infra`, beside the bare Automation API's `up` of its twin.

Ours is what the process does once it has decided to run: lease, config, engine, events, record.
The wait for a burst to settle (a second) is by design, and not counted. The cloud is a folder that
answers at once, so that nothing hides our part.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from sqlalchemy import select

from benchmarks.machine import figure, summary
from benchmarks.report import Bar, Fact, Outcome
from benchmarks.session import Session
from control.database.tables.worker_groups import stack_leases
from control.domain.worker_groups import config_of
from tests.engines.pulumi import engine as engines
from tests.stacks.infra.process import Infra, make_infra, wait_for

SIZES, QUICK_SIZES = 6, 2
AROUND_LIMIT = 0.05
PEER = Path(__file__).parent / "peers" / "automation_up.py"
TWIN = "bench-aws-eu-west-1-wg-twin"


class Bare:
    """The peer's process, on a stack of its own with the same program and config."""

    def __init__(self, infra: Infra) -> None:
        group = infra.group
        config = config_of(group.cloud, group.region, group.inputs)
        config["place"] = str(infra.place / "twin")
        Path(config["place"]).mkdir()
        named = {key if ":" in key else f"talkoot:{key}": text for key, text in config.items()}
        self._process = subprocess.Popen(
            [sys.executable, PEER, infra.repository.folder, TWIN],
            env=infra.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say(json.dumps(named))
        self._hear()

    def up(self, size: int) -> float:
        """Resize; the seconds that it took."""
        self._say(str(size))
        return float(self._hear())

    def end(self) -> None:
        """Let it go."""
        self._process.communicate(timeout=60)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def _resize(infra: Infra, size: int) -> tuple[float, float]:
    """Resize by the process; seconds in all, and those of them in the engine."""
    infra.want(size)
    wait_for(lambda: infra.group.applied == size, f"size {size}")
    with infra.world.database.read() as connection:
        lease = connection.execute(
            select(stack_leases).where(stack_leases.c.stack == infra.stack)
        ).one()
    total_s = (infra.group.applied_at - lease.taken_at).total_seconds()
    return total_s, infra.runs[0].engine_s


def measure(session: Session) -> Outcome:
    """Alternate ours and the bare one, size by size."""
    infra = make_infra(session.scratch, engines.find())
    bare = Bare(infra)
    ours: list[float] = []
    around: list[float] = []
    theirs: list[float] = []
    infra.start()
    try:
        _resize(infra, 1)  # makes the stacks
        bare.up(1)
        for size in range(2, 2 + session.rounds * session.sized(SIZES, QUICK_SIZES)):
            session.wait_quiet()
            theirs.append(bare.up(size))
            session.wait_quiet()
            total_s, engine_s = _resize(infra, size)
            ours.append(total_s)
            around.append((total_s - engine_s) / engine_s)
    finally:
        infra.stop()
        bare.end()
        infra.world.database.close()
    share = summary(around)
    return Outcome(
        "resize",
        bars=(
            Bar(
                "resize of one group",
                "s",
                summary(ours),
                "the bare Automation API",
                summary(theirs),
                1.1,
                at_most=True,
            ),
        ),
        facts=(
            Fact(
                "our time around the engine",
                share.median <= AROUND_LIMIT,
                f"{figure(share.median * 100)} % of it (at most {AROUND_LIMIT:.0%}).",
            ),
        ),
    )
