"""A person lets a worker take nothing new: it ends what it has and leaves, come what may."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, case, func, select, update

from control.database.rows import AnyRow
from control.database.tables.environments import workers
from control.database.tables.worker_groups import machines
from control.domain.errors import Conflict, Forbidden, NotFound
from control.domain.roles import Caller
from control.services import audit, drains
from control.services.world import World

REASON = "Drained by {}"


def drain(world: World, caller: Caller, worker_id: str, now: datetime) -> AnyRow:
    """Ask a worker to drain; one that is busy ends its work first. The worker's row.

    Raises Forbidden, NotFound, and Conflict for one that has left.
    """
    if not caller.is_admin:
        raise Forbidden("Only an administrator drains a worker.")

    def work(connection: Connection) -> AnyRow:
        row = connection.execute(select(workers).where(workers.c.id == worker_id)).first()
        if row is None:
            raise NotFound("There is no such worker.")
        if row.status == "left":
            raise Conflict(f"{row.name} has left already.")
        machine_id = connection.execute(
            select(machines.c.id).where(
                machines.c.worker_id == worker_id, machines.c.gone_at.is_(None)
            )
        ).scalar()
        if machine_id is None:
            _ask_worker(connection, worker_id, now)
        elif not drains.ask(connection, machine_id, REASON.format(caller.username), now):
            drains.retire(connection, machine_id, now)
        connection.execute(
            update(workers).where(workers.c.id == worker_id).values(drain_cause=drains.PERSON)
        )
        audit.record(connection, caller, "worker.drain", row.name, None, None, now)
        return row

    return world.database.write(work)


def _ask_worker(connection: Connection, worker_id: str, now: datetime) -> None:
    """Ask a worker that no cloud lists; a claim that is granted meanwhile is its last."""
    is_new = workers.c.drain_requested_at.is_(None)
    connection.execute(
        update(workers)
        .where(workers.c.id == worker_id, workers.c.status != "left")
        .values(
            drain_requested_at=func.coalesce(workers.c.drain_requested_at, now),
            drain_epoch=workers.c.drain_epoch + case((is_new, 1), else_=0),
            status="draining",
        )
    )
