"""Machines become workers: one of a cloud joins with what the cloud signs for it (BIN-4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, insert, select, update

from agent import wire
from control.database.ids import hash_secret, new_id, new_secret
from control.database.rows import AnyRow
from control.database.tables.environments import environments, workers
from control.database.tables.executions import attempts
from control.database.tables.worker_groups import machines, worker_groups
from control.domain.errors import Invalid, Unauthenticated
from control.domain.identities import (
    Holder,
    InstanceIdentity,
    KnownGroup,
    KnownMachine,
    check_join,
)
from control.domain.scaling.memory import remember_joined
from control.domain.scaling.state import MachineState
from control.services import group_memory
from control.services.group_policy import policy_of
from control.services.world import World


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker joins, and as which machine of a cloud, if it is one."""

    environment_id: str
    slots: int
    instance_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the database knows of the machine that asks."""

    group: AnyRow | None
    machine: AnyRow | None
    holder: AnyRow | None


def join(world: World, request: wire.Join, now: datetime) -> wire.Joined:
    """Make a proved machine the worker of its row. Raises as identities.check_join does."""
    told = request.instance_identity or {}
    cloud, group = str(told.get("cloud", "")), str(told.get("group", ""))
    check = world.identities.get(cloud)
    if check is None:
        raise Unauthenticated(
            f"Machines of {cloud[:20]!r} cannot prove themselves here: see 'Machines that join by "
            "their cloud's word' in docs/settings.md."
        )
    proved = check.read(str(told.get("document", "")), str(told.get("signature", "")))
    if proved.cloud != cloud:
        raise Invalid.one("instance_identity", "The document is of another cloud.")
    secret = new_secret("tka_")

    def work(connection: Connection) -> wire.Joined:
        seen = _look(connection, proved, group)
        check_join(
            proved,
            _group(seen.group),
            _machine(seen.machine),
            Holder(seen.holder.last_seen_at) if seen.holder is not None else None,
            now,
        )
        assert seen.group is not None
        assert seen.machine is not None
        if seen.holder is not None:
            dismiss(connection, seen.holder.id, now)
        return _admit(connection, request, (seen.group, seen.machine), secret, now)

    return world.database.write(work)


def _look(connection: Connection, proved: InstanceIdentity, group: str) -> _Seen:
    """Read all three; PostgreSQL holds the machine's row, so that of two joins one is second."""
    return _Seen(
        connection.execute(select(worker_groups).where(worker_groups.c.name == group)).first(),
        connection.execute(
            select(machines)
            .where(machines.c.cloud == proved.cloud, machines.c.instance_id == proved.instance_id)
            .with_for_update()
        ).first(),
        connection.execute(
            select(workers.c.id, workers.c.last_seen_at)
            .where(workers.c.instance_id == proved.instance_id, workers.c.status != "left")
            .order_by(workers.c.last_seen_at.desc())
        ).first(),
    )


def _group(row: AnyRow | None) -> KnownGroup | None:
    if row is None:
        return None
    return KnownGroup(row.id, row.name, row.cloud, row.region, str(row.inputs.get("image", "")))


def _machine(row: AnyRow | None) -> KnownMachine | None:
    return None if row is None else KnownMachine(row.group_id, row.state, row.launched_at)


def dismiss(connection: Connection, worker_id: str, now: datetime) -> None:
    """Record that a worker is no more; leases of what it held end now."""
    connection.execute(
        update(workers).where(workers.c.id == worker_id).values(status="left", left_at=now)
    )
    connection.execute(
        update(attempts)
        .where(attempts.c.worker_id == worker_id, attempts.c.ended_at.is_(None))
        .values(lease_until=now)
    )


def _admit(
    connection: Connection,
    request: wire.Join,
    known: tuple[AnyRow, AnyRow],
    secret: str,
    now: datetime,
) -> wire.Joined:
    group, machine = known
    place = Place(group.environment_id, group.slots, machine.instance_id)
    joined = admit(connection, request, place, secret, now)
    connection.execute(
        update(machines)
        .where(machines.c.id == machine.id)
        .values(
            worker_id=joined.worker_id,
            joined_at=now,
            state=case(
                (machines.c.state == MachineState.LAUNCHING, MachineState.READY),
                else_=machines.c.state,
            ),
        )
    )
    if machine.joined_at is None:
        group_memory.change(
            connection, group.id, lambda before: remember_joined(before, policy_of(group), now)
        )
    return joined


def admit(
    connection: Connection, request: wire.Join, place: Place, secret: str, now: datetime
) -> wire.Joined:
    """Write the worker that `secret` will be the token of; whoever calls has checked its right."""
    environment = connection.execute(
        select(environments).where(environments.c.id == place.environment_id)
    ).one()
    worker_id = new_id(now)
    connection.execute(
        insert(workers).values(
            id=worker_id,
            environment_id=environment.id,
            name=request.name[:150],
            token_hash=hash_secret(secret),
            status="live",
            runtime=request.runtime,
            version=request.version,
            facts=request.facts,
            joined_at=now,
            last_seen_at=now,
            instance_id=place.instance_id,
            slots=place.slots,
            idle_since=now,
        )
    )
    return wire.Joined(worker_id, secret, environment.slug, float(environment.heartbeat_s))
