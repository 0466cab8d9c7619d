"""Draining machines: decided here, obeyed by the agent (infrastructure.md 3.3 step 7).

A worker that holds a lease is never drained, and one that is asked to drain is granted none. The
two are kept apart by its row: a claim holds the weak lock that the foreign key of its attempt needs
anyway, a drain takes the lock that shuts that one out and only then looks for attempts. On SQLite
one transaction writes at a time.

    ask ──► the agent acknowledges by heartbeat ──► begin_end ──► terminated by id
     └───────────── take_back ◄───────────┘             (no way back from here)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, exists, func, select, update

from control.database.tables.environments import workers
from control.database.tables.executions import attempts
from control.database.tables.worker_groups import machines, worker_groups
from control.domain.reaping import is_suspect
from control.domain.scaling.state import MachineState

HOLD, PERSON = "hold", "person"
"""Causes of a drain (workers.drain_cause); "" is the planner's."""

_HOLDS = exists().where(attempts.c.worker_id == workers.c.id, attempts.c.ended_at.is_(None))


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a drain is. `is_obeyed`: acknowledged by heartbeat, or the heartbeat has lapsed."""

    is_asked: bool
    is_obeyed: bool
    leases: int


def ask(connection: Connection, machine_id: str, reason: str, now: datetime) -> bool:
    """Ask a ready machine to drain; False when it holds a lease or is not ready any more."""
    worker_id = _lock(connection, machine_id)
    if worker_id is None:
        return False
    asked = _request(connection, worker_id, now, ~_HOLDS)
    if asked is None:
        return False
    changed = connection.execute(
        update(machines)
        .where(machines.c.id == machine_id, machines.c.state == MachineState.READY)
        .values(
            state=MachineState.DRAINING,
            drained_at=now,
            drain_epoch=asked,
            reason=reason,
        )
    )
    if changed.rowcount == 1:
        return True
    _release(connection, worker_id)
    return False


def retire(connection: Connection, machine_id: str, now: datetime) -> bool:
    """Give a busy machine no more work: it is drained once it is idle. False when it knows."""
    worker_id = _lock(connection, machine_id)
    if worker_id is None:
        return False
    is_new = workers.c.drain_requested_at.is_(None) | (workers.c.drain_cause == HOLD)
    return _request(connection, worker_id, now, is_new) is not None


def hold(connection: Connection, machine_id: str, now: datetime) -> bool:
    """Give a ready machine no new work for now; False when it gets none already."""
    worker_id = _lock(connection, machine_id)
    if worker_id is None:
        return False
    is_new = workers.c.drain_requested_at.is_(None) & (workers.c.status != "left")
    held = connection.execute(
        update(workers)
        .where(workers.c.id == worker_id, is_new)
        .values(drain_requested_at=now, drain_epoch=workers.c.drain_epoch + 1, drain_cause=HOLD)
    )
    return held.rowcount == 1


def keep(connection: Connection, machine_id: str) -> bool:
    """Let a ready machine that was held or to retire work again; False when it was not.

    What a person drained is never kept, nor taken back.
    """
    kept = connection.execute(
        select(machines.c.worker_id)
        .join(workers, workers.c.id == machines.c.worker_id)
        .where(
            machines.c.id == machine_id,
            machines.c.state == MachineState.READY,
            workers.c.drain_requested_at.is_not(None),
            workers.c.drain_cause != PERSON,
        )
    ).scalar()
    if kept is not None:
        _release(connection, kept)
    return kept is not None


def take_back(connection: Connection, machine_id: str, reason: str) -> bool:
    """Let a draining machine work again; False once its end was sent or announced by the cloud."""
    worker_id = _lock(connection, machine_id)
    changed = connection.execute(
        update(machines)
        .where(
            machines.c.id == machine_id,
            machines.c.state == MachineState.DRAINING,
            machines.c.end_sent_at.is_(None),
            machines.c.reclaim_at.is_(None),
            ~exists().where(workers.c.id == worker_id, workers.c.drain_cause == PERSON),
        )
        .values(state=MachineState.READY, drained_at=None, reason=reason)
    )
    if changed.rowcount != 1:
        return False
    if worker_id is not None:
        _release(connection, worker_id)
    return True


def begin_end(
    connection: Connection,
    machine_id: str,
    now: datetime,
    states: Sequence[MachineState] = (MachineState.DRAINING,),
) -> bool:
    """Pass the point of no return: the caller terminates the machine after this commit.

    The group's recorded sizes, the wanted and the applied one, fall by one, as the cloud's does
    when a machine is ended by its id.
    `states` are those it may be in, such as failed and lost ones. False when it is in none of
    them any more, or holds a lease after all; then nothing is changed.
    """
    worker_id = _lock(connection, machine_id)
    if worker_id is not None and _lease_count(connection, worker_id):
        return False
    ended = connection.execute(
        update(machines)
        .where(
            machines.c.id == machine_id,
            machines.c.state.in_(states),
            machines.c.end_sent_at.is_(None),
        )
        .values(state=MachineState.TERMINATING, end_sent_at=now)
        .returning(machines.c.group_id)
    ).first()
    if ended is None:
        return False
    connection.execute(
        update(worker_groups)
        .where(worker_groups.c.id == ended.group_id)
        .values(
            wanted=_less_one(worker_groups.c.wanted), applied=_less_one(worker_groups.c.applied)
        )
    )
    return True


def _less_one(size: ColumnElement[int]) -> ColumnElement[int]:
    return case((size > 0, size - 1), else_=0)


def standing(connection: Connection, machine_id: str, now: datetime) -> Standing:
    """Say how far a machine's drain is; one without a worker has nobody to wait for."""
    row = connection.execute(
        select(
            workers.c.id,
            workers.c.status,
            workers.c.last_seen_at,
            workers.c.drain_requested_at,
            workers.c.drain_epoch,
            workers.c.drain_ack_epoch,
        )
        .join(machines, machines.c.worker_id == workers.c.id)
        .where(machines.c.id == machine_id)
    ).first()
    if row is None:
        return Standing(is_asked=True, is_obeyed=True, leases=0)
    has_gone = row.status == "left" or is_suspect(row.last_seen_at, now)
    return Standing(
        is_asked=row.drain_requested_at is not None,
        is_obeyed=has_gone or row.drain_ack_epoch == row.drain_epoch,
        leases=_lease_count(connection, row.id),
    )


def _lock(connection: Connection, machine_id: str) -> str | None:
    """Shut claims of the machine's worker out until the commit; None when none has joined."""
    worker_id = connection.execute(
        select(machines.c.worker_id).where(machines.c.id == machine_id)
    ).scalar()
    if worker_id is not None:
        connection.execute(
            select(workers.c.id).where(workers.c.id == worker_id).with_for_update()
        ).one()
    return worker_id


def _request(
    connection: Connection, worker_id: str, now: datetime, guard: ColumnElement[bool]
) -> int | None:
    """Ask under a guard; the epoch of the order, which rises unless it was asked before."""
    is_new = workers.c.drain_requested_at.is_(None)
    return connection.execute(
        update(workers)
        .where(workers.c.id == worker_id, guard)
        .values(
            drain_requested_at=func.coalesce(workers.c.drain_requested_at, now),
            drain_epoch=workers.c.drain_epoch + case((is_new, 1), else_=0),
            status=case((workers.c.status == "left", "left"), else_="draining"),
            drain_cause=case((workers.c.drain_cause == PERSON, PERSON), else_=""),
        )
        .returning(workers.c.drain_epoch)
    ).scalar()


def _release(connection: Connection, worker_id: str) -> None:
    """Let it claim again; its idle time goes on, as nobody worked meanwhile."""
    status = case((workers.c.status == "left", "left"), else_="live")
    connection.execute(
        update(workers)
        .where(workers.c.id == worker_id)
        .values(drain_requested_at=None, drain_cause="", status=status)
    )


def _lease_count(connection: Connection, worker_id: str) -> int:
    return int(
        connection.execute(
            select(func.count()).where(
                attempts.c.worker_id == worker_id, attempts.c.ended_at.is_(None)
            )
        ).scalar_one()
    )
