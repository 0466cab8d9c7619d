"""From the answer to a submit until the decision on its worker group is recorded, one at a time.

Ours is `talkoot serve` on SQLite and the processes apart on PostgreSQL, each with an empty queue
and then with a full one, which must cost the same. The answer comes after the commit, and the clock
starts there; the bench sees a decision when it can read its row, so its own look is counted too.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import String, cast, func, insert, literal, select, update

from benchmarks import servers, system
from benchmarks.http_client import Client
from benchmarks.machine import Summary, percentile, summary
from benchmarks.processes import wait_until
from benchmarks.report import Bar, Fact, Outcome
from benchmarks.session import Session
from control.database.session import Database
from control.database.tables.executions import execution_counts, executions
from control.database.tables.worker_groups import scaling_decisions, worker_groups
from control.domain.ports import QueueEntry
from control.plugins.queues.valkey import ValkeyQueue
from control.settings import read_settings

SAMPLES, QUICK_SAMPLES = 60, 15
QUEUED, QUICK_QUEUED = 1_000_000, 100_000
WARM_UP = 5
PIECE = 10_000
POLL_S = 0.0005
LIMIT_MS = 50
GROUP = "bench-group"
CONFIG = """
- step:
    name: nothing
    image: busybox
    command: "true"
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """One installation under measure."""

    ours: system.Talkoot
    database: Database
    queue_url: str

    def prepare(self) -> None:
        """Add a group without limits whose cloud has just been read, and for long."""
        self.ours.populate(CONFIG)
        words = ["--base", "bench-aws-eu-west-1-base", "--type", "g5.xlarge", "--image", "ami-1"]
        self.ours.command("group", "add", GROUP, *words, "--apply")
        limits = {"max": 10_000_000, "burst": 10_000_000, "boot_grace_s": 86_400}
        values = limits | {"seen_at": datetime.now(UTC) + timedelta(days=1)}
        self.database.write(
            lambda connection: connection.execute(update(worker_groups).values(**values)) and None
        )

    def fill(self, count: int) -> None:
        """Let `count` more executions wait: rows, the kept count, and the queue server."""
        self.database.write(lambda connection: _copy_queued(connection, count))
        with self.database.read() as connection:
            environment_id = connection.execute(select(worker_groups.c.environment_id)).scalar_one()
        now = datetime.now(UTC)
        with ValkeyQueue(self.queue_url) as queue:
            for first in range(1, count + 1, PIECE):
                numbers = range(first, min(first + PIECE, count + 1))
                queue.push([QueueEntry(f"{n:036}", environment_id, 0, now) for n in numbers])

    def decided(self) -> str | None:
        """Answer the id of the group's newest decision."""
        with self.database.read() as connection:
            return connection.execute(select(worker_groups.c.decision_id)).scalar_one()

    def samples(self, count: int) -> list[float]:
        """Submit one at a time; the milliseconds from each answer to its decision."""
        client = self.ours.client()
        body = self.ours.submission("nothing") | {"environment": GROUP}
        found = [self._one(client, body) for _ in range(WARM_UP + count)]
        client.close()
        return found[WARM_UP:]

    def _one(self, client: Client, body: dict[str, Any]) -> float:
        before = self.decided()
        answered_ns = client.call("POST", "/api/v0/executions/", body).at_ns
        while self.decided() == before:
            time.sleep(POLL_S)
            if time.monotonic_ns() - answered_ns > 15e9:
                break
        took_ms = (time.monotonic_ns() - answered_ns) / 1e6
        time.sleep(random.uniform(0.1, 0.2))
        return took_ms


def _copy_queued(connection: Any, count: int) -> None:
    """Copy a queued execution's row so often."""
    start = select(literal(1).label("n")).cte("series", recursive=True)
    series = start.union_all(select(start.c.n + 1).where(start.c.n < count))
    is_sqlite = connection.dialect.name == "sqlite"
    text = cast(series.c.n, String)
    ids = func.printf("%036d", series.c.n) if is_sqlite else func.lpad(text, 36, "0")
    changed = {"id": ids, "counter": series.c.n + 1_000_000_000}
    columns = [changed.get(column.name, column) for column in executions.c]
    one = select(executions.c.id).where(executions.c.status == "queued").limit(1).scalar_subquery()
    copies = select(*columns).select_from(executions.join(series, literal(1) == 1))
    names = [column.name for column in executions.c]
    connection.execute(insert(executions).from_select(names, copies.where(executions.c.id == one)))
    connection.execute(
        update(execution_counts)
        .where(execution_counts.c.status == "queued")
        .values(count=execution_counts.c.count + count)
    )
    if not is_sqlite:
        connection.exec_driver_sql("ANALYZE executions")


def _measure(session: Session, shape: Shape) -> tuple[list[float], list[float], bool]:
    """Measure with an empty queue and a full one; the last says that every launch was written."""
    shape.prepare()
    count = session.sized(SAMPLES, QUICK_SAMPLES)
    session.wait_quiet()
    empty = shape.samples(count)
    shape.fill(session.sized(QUEUED, QUICK_QUEUED))
    wait_until(lambda: _wanted(shape) >= session.sized(QUEUED, QUICK_QUEUED), "the decision", 60)
    session.wait_quiet()
    full = shape.samples(count)
    with shape.database.read() as connection:
        launched = connection.execute(select(func.sum(scaling_decisions.c.launch))).scalar_one()
    return empty, full, launched == _wanted(shape)


def _wanted(shape: Shape) -> int:
    with shape.database.read() as connection:
        return connection.execute(select(worker_groups.c.wanted)).scalar_one()


def _halves(samples: list[float]) -> Summary:
    return summary([percentile(samples, 0.5)])


def measure(session: Session) -> Outcome:
    """Measure both kinds of installation."""
    found: dict[str, tuple[list[float], list[float], bool]] = {}
    with system.one_machine(session.scratch) as ours:
        settings = read_settings({}, data_dir=ours.folder)
        database = Database(settings.database_url)
        found["SQLite"] = _measure(session, Shape(ours, database, settings.queue_url))
        database.close()
    with (
        servers.valkey(session.scratch) as queue_url,
        servers.postgresql(session.scratch) as cluster,
    ):
        url = cluster.create("scaling")
        with system.production(session.scratch, url, queue_url) as ours:
            database = Database(url)
            found["PostgreSQL"] = _measure(session, Shape(ours, database, queue_url))
            database.close()
    return _outcome(found, session.sized(QUEUED, QUICK_QUEUED))


def _outcome(found: dict[str, tuple[list[float], list[float], bool]], queued: int) -> Outcome:
    bars: list[Bar] = []
    facts: list[Fact] = []
    notes: list[str] = []
    for kind, (empty, full, is_whole) in found.items():
        mine, other = _halves(full), _halves(empty)
        name = f"p50 at {queued} queued, {kind}"
        bars.append(Bar(name, "ms", mine, "an empty queue", other, 1.2, at_most=True))
        worst = max(mine.median, other.median)
        said = f"p50 {other} ms from the answer, {mine} ms at {queued} queued."
        facts.append(Fact(f"within {LIMIT_MS} ms, {kind}", worst <= LIMIT_MS, said))
        facts.append(Fact(f"every launch is recorded, {kind}", is_whole, "Sums agree."))
        p99 = f"{percentile(empty, 0.99):.1f} and {percentile(full, 0.99):.1f}"
        notes.append(f"{kind}: p99 {p99} ms.")
    return Outcome("scaling_latency", bars=tuple(bars), facts=tuple(facts), notes=tuple(notes))
