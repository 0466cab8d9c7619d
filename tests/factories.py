"""A small world for tests: real database, memory plug-ins, one project with one commit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from agent import wire
from control.database import migrate
from control.database.rows import AnyRow
from control.database.session import Database
from control.database.tables.environments import environments as environment_rows
from control.database.tables.executions import executions
from control.database.tables.projects import commits
from control.domain.executions import ExecutionRequest
from control.domain.roles import Caller
from control.plugins.git.memory import MemoryGit
from control.plugins.queues.memory import MemoryQueue
from control.plugins.stores.memory import MemoryStore
from control.services import (
    attempts,
    claims,
    environments,
    people,
    projects,
    queueing,
    submissions,
    workers,
)
from control.services.executions import ExecutionView
from control.services.sealing import SecretBox
from control.services.world import World

NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

STEPS = [
    {
        "step": {
            "name": "train",
            "image": "python:3.12",
            "command": ["echo prepare", "python train.py {parameters}"],
            "parameters": [
                {"name": "epochs", "type": "integer", "default": 5, "min": 1, "max": 100},
            ],
            "inputs": [{"name": "images", "optional": True}],
        }
    }
]


def make_world(database_url: str) -> World:
    """Build a world on a migrated database."""
    database = Database(database_url)
    migrate.upgrade(database)
    store = MemoryStore()
    return World(
        database=database,
        queue=MemoryQueue(),
        store=store,
        code_store=store,
        log_store=store,
        release_store=store,
        git=MemoryGit(),
        box=SecretBox(bytes(32)),
    )


@dataclass
class Scene:
    """A user with a project, a commit, an environment and a worker in it."""

    world: World
    caller: Caller
    project_id: str
    worker: AnyRow
    now: datetime = NOW

    def later(self, seconds: float) -> datetime:
        """Move the clock."""
        self.now += timedelta(seconds=seconds)
        return self.now

    def submit(self, **given: Any) -> ExecutionView:
        """Create an execution of the step `train`."""
        usual: dict[str, Any] = {"project_id": self.project_id, "commit": "main", "step": "train"}
        request = ExecutionRequest(**(usual | given))
        return submissions.create(self.world, self.caller, request, self.later(0.001))

    def claim(self, worker: AnyRow | None = None) -> wire.ExecutionSpec | None:
        """Pop and claim as the streams do; None when nothing waits."""
        who = worker or self.worker
        popped = self.world.queue.pop([who.environment_id], wait_s=0)
        if popped is None:
            return None
        claimed = claims.submit(self.world, who, popped[1], self.now).result()
        if isinstance(claimed, claims.Draining):
            queueing.requeue(self.world, [popped[1]])
            return None
        return claims.spec_of(self.world, claimed) if claimed else None

    def row(self, execution_id: str) -> AnyRow:
        """Read the execution's row."""
        with self.world.database.read() as connection:
            return connection.execute(
                select(executions).where(executions.c.id == execution_id)
            ).one()

    def held(self, spec: wire.ExecutionSpec, *, ended_too: bool = False) -> AnyRow:
        """Find the attempt by its claim token."""
        return attempts.find(self.world, spec.claim_token, ended_too=ended_too)

    def finish(self, spec: wire.ExecutionSpec, **given: Any) -> wire.Receipt:
        """End the attempt well, unless told otherwise."""
        usual: dict[str, Any] = {
            "outcome": "complete",
            "reason": "exited",
            "sentence": "Ended well.",
            "log_last": spec.log_next - 1,
            "exit_code": 0,
        }
        message = wire.Finish(**(usual | given))
        return attempts.finish(self.world, self.held(spec, ended_too=True), message, self.now)

    def set_environment(self, **values: Any) -> None:
        """Change the environment."""
        self.world.database.write(
            lambda connection: (
                connection.execute(
                    update(environment_rows)
                    .where(environment_rows.c.id == self.worker.environment_id)
                    .values(**values)
                )
                and None
            )
        )

    def add_worker(self, name: str) -> AnyRow:
        """Let another machine join the environment."""
        return join(self.world, "gpu-small", name, self.now)


def join(world: World, environment: str, name: str, now: datetime) -> AnyRow:
    """Enrol and join a worker."""
    token = workers.make_enrolment_token(world, environment, now)
    joined = workers.join(world, wire.Join(token, name, "process", "1"), now)
    return workers.authenticate(world, joined.agent_token)


def make_scene(database_url: str) -> Scene:
    """Build a world with somebody in it."""
    world = make_world(database_url)
    user = people.add_user(world, "ada", None, False, NOW)
    caller = Caller(user.id, "ada")
    environments.add(world, None, environments.NewEnvironment(slug="gpu-small", lease_s=60), NOW)
    project = projects.create(world, caller, "digits", NOW)
    add_commit(world, project.row.id, "main", STEPS)
    return Scene(world, caller, project.row.id, join(world, "gpu-small", "worker-1", NOW))


def add_commit(world: World, project_id: str, ref: str, config: list[dict[str, Any]]) -> None:
    """Add a commit whose archive is there already."""
    key = "code/abc.tar.gz"
    world.code_store.put(key, b"archive")
    world.database.write(
        lambda connection: (
            connection.execute(
                insert(commits).values(
                    project_id=project_id,
                    identifier=ref,
                    adhoc=False,
                    ref=ref,
                    commit_time=NOW,
                    ctime=NOW,
                    yaml_path="valohai.yaml",
                    config=config,
                    archive_key=key,
                    archive_sha256="0" * 64,
                    archive_size_bytes=7,
                )
            )
            and None
        )
    )
