"""Writes worker groups, machines, decisions and runs as the loops would: for pages to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, update

from control.database.ids import new_id
from control.database.tables.environments import environments, workers
from control.database.tables.executions import execution_counts
from control.database.tables.worker_groups import (
    machines,
    scaling_decisions,
    stack_events,
    stack_runs,
    worker_groups,
)
from control.services.world import World

CONSOLE = """\
[    0.000000] Linux version 6.8.0-1021-aws
[    4.113021] cloud-init[612]: Cloud-init v. 24.1 running 'modules:final'
[   11.820114] talkoot-bring-up: fetching agent 0.1.0 from the release store
[   12.344871] talkoot-bring-up: the release's hash is not the one that was announced
[   12.345002] talkoot-bring-up: stopped; this machine powers off in 5 minutes
"""


@dataclass
class Fleet:
    """An environment of a world, and what is written into it; `now` is the time it stands at."""

    world: World
    slug: str
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    region: str = "eu-west-1"
    environment_id: str = ""

    def __post_init__(self) -> None:
        self.environment_id = new_id(self.now)
        self.add(
            environments,
            id=self.environment_id,
            slug=self.slug,
            name=self.slug,
            kind="aws",
            gpu_spec="1 × NVIDIA L4",
            per_hour_price_usd=0.8,
            ctime=self.now,
            mtime=self.now,
        )

    @property
    def path(self) -> str:
        return f"/environments/{self.slug}/"

    def ago(self, **span: float) -> datetime:
        return self.now - timedelta(**span)

    def add(self, table: Any, *rows: dict[str, Any], **row: Any) -> None:
        values = list(rows) or [row]
        self.world.database.write(
            lambda connection: connection.execute(insert(table), values) and None
        )

    def change(self, table: Any, row_id: str, **values: Any) -> None:
        query = update(table).where(table.c.id == row_id).values(**values)
        self.world.database.write(lambda connection: connection.execute(query) and None)

    def group(self, name: str, **given: Any) -> str:
        """Add a group; its id."""
        usual: dict[str, Any] = {
            "id": new_id(self.now),
            "name": name,
            "environment_id": self.environment_id,
            "cloud": "aws",
            "region": self.region,
            "stack": f"prod-aws-eu-west-1-wg-{name}",
            "instance_type": "g6.xlarge",
            "market": "on-demand",
            "inputs": {"group": name, "instance_type": "g6.xlarge"},
            "slots": 1,
            "min": 0,
            "max": 20,
            "price_per_hour_usd": 0.805,
            "config_version": "v1",
            "ctime": self.ago(days=30),
            "mtime": self.ago(days=30),
        }
        row = usual | given
        self.add(worker_groups, **row)
        return str(row["id"])

    def machine(self, group_id: str | None, state: str, **given: Any) -> str:
        """Add a machine; its id."""
        launched = given.pop("launched_at", self.ago(minutes=20))
        made = new_id(launched)
        usual: dict[str, Any] = {
            "id": made,
            "group_id": group_id,
            "cloud": "aws",
            "region": self.region,
            "instance_id": f"i-0{made.replace('-', '')[-16:]}",
            "zone": "eu-west-1b",
            "instance_type": "g6.xlarge",
            "market": "on-demand",
            "state": state,
            "launched_at": launched,
            "found_at": launched,
            "seen_at": self.now,
        }
        self.add(machines, **(usual | given))
        return made

    def worker(self, group_id: str, name: str, **given: Any) -> str:
        """Add a machine that joined; the worker's id."""
        joined = self.ago(minutes=18)
        worker_id = new_id(joined)
        self.add(
            workers,
            id=worker_id,
            environment_id=self.environment_id,
            name=name,
            token_hash=worker_id,
            status="live",
            runtime="docker",
            version="0.1.0",
            facts={"cpus": 4, "memory_bytes": 17179869184, "gpus": ["NVIDIA L4"]},
            joined_at=joined,
            last_seen_at=self.now,
        )
        self.machine(group_id, "ready", worker_id=worker_id, joined_at=joined, **given)
        return worker_id

    def waiting(self, count: int) -> None:
        """Let so many executions wait, as far as the counts tell."""
        self.add(
            execution_counts,
            project_id=new_id(self.now),
            environment_id=self.environment_id,
            status="queued",
            count=count,
        )

    def decide(self, group_id: str, *points: tuple[float, int, int, int, int, str]) -> None:
        """Record decisions: minutes ago, queued, wanted, live, busy, reason; oldest first."""
        rows = [
            self._decision(group_id, self.ago(minutes=ago), numbers, str(reason))
            for ago, *numbers, reason in points
        ]
        self.add(scaling_decisions, *rows)
        last = rows[-1]
        self.change(
            worker_groups,
            group_id,
            decision_id=last["id"],
            wanted=last["wanted"],
            wanted_at=last["time"],
        )

    @staticmethod
    def _decision(
        group_id: str, time: datetime, numbers: Sequence[Any], reason: str
    ) -> dict[str, Any]:
        queued, wanted, live, busy = numbers
        return {
            "id": new_id(time),
            "group_id": group_id,
            "time": time,
            "queued": queued,
            "wanted": wanted,
            "live": live,
            "busy": busy,
            "launch": max(0, wanted - live),
            "drain": [],
            "blocked_by": "",
            "reason": reason,
        }

    def run(self, stack: str, status: str = "running", **given: Any) -> str:
        """Add a run of the engine; its id."""
        started = given.pop("started_at", self.ago(seconds=50))
        made = new_id(started)
        usual: dict[str, Any] = {
            "id": made,
            "stack": stack,
            "verb": "up",
            "size": 12,
            "commit": "4f1c2a9be0d7",
            "status": status,
            "started_at": started,
            "ended_at": None if status == "running" else self.ago(seconds=8),
        }
        self.add(stack_runs, **(usual | given))
        return made

    def event(self, run_id: str, number: int, text: str, **given: Any) -> None:
        usual = {"run_id": run_id, "number": number, "at": self.now, "kind": "resource"}
        self.add(stack_events, **(usual | {"text": text} | given))


DAY = (
    (340, 0, 0, 0, 0, "Nothing waits: no machine is needed."),
    (300, 12, 4, 0, 0, "12 executions wait: 4 machines launched, the first before any has joined."),
    (296, 12, 4, 4, 0, "4 machines are starting for 12 executions."),
    (290, 8, 12, 4, 4, "The first machines joined: 8 more launched for 8 executions."),
    (286, 3, 12, 12, 9, "12 machines for 12 executions."),
    (240, 0, 9, 12, 6, "3 machines were idle for 15 min: drained."),
    (200, 0, 0, 3, 0, "The last machines were idle for 15 min: drained."),
    (90, 0, 0, 0, 0, "Nothing waits: no machine is needed."),
    (41, 200, 10, 0, 0, "200 executions wait: 10 machines launched, the first before any joined."),
    (37, 200, 10, 10, 0, "10 machines are starting for 200 executions."),
    (33, 190, 20, 10, 10, "The first machines joined: 10 more launched; the maximum is 20."),
    (20, 120, 20, 18, 16, "120 executions wait: at the maximum of 20 machines."),
    (6, 84, 20, 19, 18, "84 executions wait: at the maximum of 20 machines."),
)
"""A day's decisions, one hundred of them made short."""
