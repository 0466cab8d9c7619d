"""Worker groups: adding, finding and changing them. Administrators only; a command is one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, func, insert, select, update

from control.database.ids import new_id
from control.database.rows import AnyRow
from control.database.tables.environments import environments as environment_rows
from control.database.tables.worker_groups import machines, scaling_decisions, worker_groups
from control.domain import worker_groups as rules
from control.domain.errors import (
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    PermanentError,
    TemporaryError,
)
from control.domain.roles import Caller
from control.domain.worker_groups import NewGroup, Offering
from control.services import audit, environments, releases, wakeups
from control.services.world import World

log = structlog.get_logger()

_IN_STACK = {"minimum": "min", "maximum": "max", "slots": "slots", "channel": "channel"}
"""What a change must also say in the stack's config, field to key."""
_COLUMNS = {"minimum": "min", "maximum": "max"}
"""Field to column where they differ."""
CHANGEABLE = (
    "minimum",
    "maximum",
    "spare",
    "idle_ttl_s",
    "boot_grace_s",
    "burst",
    "price_per_hour_usd",
    "hourly_budget_usd",
    "monthly_budget_usd",
    "channel",
)


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group with its environment, its newest decision and the machines that are there."""

    row: AnyRow
    environment: AnyRow
    decision: AnyRow | None
    machines: tuple[AnyRow, ...]


# -- adding ---------------------------------------------------------------------------------------
def add(
    world: World,
    caller: Caller | None,
    new: NewGroup,
    now: datetime,
) -> list[AnyRow]:
    """Add a group a market, and the environment if it is not there. Raises Invalid, Forbidden."""
    _authorise(caller)
    new = with_our_key(world, offered(world, checked(new)), now)

    def work(connection: Connection) -> list[AnyRow]:
        environment = _environment(connection, caller, new, now)
        rank = _next_rank(connection, environment.id)
        names: list[str] = []
        for offering in rules.offerings_of(new):
            _refuse_taken(connection, offering)
            values = _row(new, offering, now)
            values |= {"environment_id": environment.id, "rank": rank + len(names)}
            connection.execute(insert(worker_groups).values(**values))
            about = {**offering.inputs, "environment": environment.slug}
            audit.record(connection, caller, "worker_group.add", offering.name, None, about, now)
            names.append(offering.name)
        return [_by_name(connection, name) for name in names]

    rows = world.database.write(work)
    wakeups.wake_all(world, now)
    return rows


def with_our_key(world: World, new: NewGroup, now: datetime) -> NewGroup:
    """Let machines check the agent's release with our key unless another one was named."""
    if new.release_public_key:
        return new
    return replace(new, release_public_key=releases.public_key(world, now))


def checked(new: NewGroup) -> NewGroup:
    """Complete what is asked for. Raises Invalid with every fault."""
    faults = rules.faults_of(new)
    if faults:
        raise Invalid(*faults)
    return rules.completed(new)


def offered(world: World, new: NewGroup) -> NewGroup:
    """Ask the cloud whether it has the completed group's type. Raises Invalid when it has not.

    A cloud that this process cannot ask leaves it to the first `up`, whose error is then the
    group's reason.
    """
    try:
        known = world.clouds(new.cloud).instance_types(new.region)
    except (PermanentError, TemporaryError) as error:
        log.debug("instance_type_not_checked", instance_type=new.instance_type, error=error.message)
        return new
    fault = rules.unknown_type(new, known)
    if fault is not None:
        raise Invalid(fault)
    return new


def _environment(
    connection: Connection, caller: Caller | None, new: NewGroup, now: datetime
) -> AnyRow:
    found = environments.by_slug(connection, new.environment)
    if found is None:
        made = environments.NewEnvironment(
            slug=new.environment, kind=new.cloud, per_hour_price_usd=new.price_per_hour_usd
        )
        return environments.add_in(connection, caller, made, now)
    if found.kind not in rules.CLOUDS:
        raise Invalid.one(
            "environment",
            f"The environment {found.slug} is of kind {found.kind}: machines join it by hand. "
            "Name another one.",
        )
    return found


def _next_rank(connection: Connection, environment_id: str) -> int:
    last = connection.execute(
        select(func.max(worker_groups.c.rank)).where(
            worker_groups.c.environment_id == environment_id
        )
    ).scalar()
    return 0 if last is None else last + 1


def _refuse_taken(connection: Connection, offering: Offering) -> None:
    taken = connection.execute(
        select(worker_groups.c.stack).where(
            (worker_groups.c.name == offering.name) | (worker_groups.c.stack == offering.stack)
        )
    ).scalar()
    if taken is not None:
        raise Invalid.one(
            "name", f"There is a worker group {offering.name!r} already (stack {taken}).", "unique"
        )


def _row(new: NewGroup, offering: Offering, now: datetime) -> dict[str, Any]:
    inputs = dict(offering.inputs)
    return {
        "id": new_id(now),
        "name": offering.name,
        "cloud": new.cloud,
        "region": new.region,
        "stack": offering.stack,
        "instance_type": new.instance_type,
        "market": offering.market,
        "inputs": inputs,
        "config_version": rules.config_version(inputs),
        "slots": new.slots,
        "agent_version": new.agent_version,
        "ctime": now,
        "mtime": now,
        **{_COLUMNS.get(name, name): getattr(new, name) for name in CHANGEABLE},
    }


# -- reading --------------------------------------------------------------------------------------
def list_all(world: World, caller: Caller | None = None) -> list[GroupView]:
    """List the groups by environment and rank."""
    _authorise(caller)
    with world.database.read() as connection:
        rows = connection.execute(
            select(worker_groups)
            .join(environment_rows, environment_rows.c.id == worker_groups.c.environment_id)
            .order_by(environment_rows.c.slug, worker_groups.c.rank, worker_groups.c.name)
        ).all()
        return _views(connection, rows)


def find(world: World, caller: Caller | None, lookup: str) -> GroupView:
    """Find a group by name or id. Raises NotFound."""
    _authorise(caller)
    with world.database.read() as connection:
        return _views(connection, [_by_name(connection, lookup)])[0]


def list_decisions(
    world: World, group_id: str, since: datetime, *, limit: int = 2000
) -> list[AnyRow]:
    """The newest decisions on a group since then, oldest first: its chart."""
    with world.database.read() as connection:
        rows = connection.execute(
            select(scaling_decisions)
            .where(scaling_decisions.c.group_id == group_id, scaling_decisions.c.time >= since)
            .order_by(scaling_decisions.c.time.desc(), scaling_decisions.c.id.desc())
            .limit(limit)
        ).all()
    return list(reversed(rows))


def _views(connection: Connection, rows: Sequence[AnyRow]) -> list[GroupView]:
    ids = {row.id for row in rows}
    here = connection.execute(
        select(machines)
        .where(machines.c.group_id.in_(ids), machines.c.gone_at.is_(None))
        .order_by(machines.c.launched_at, machines.c.id)
    ).all()
    newest = _by_id(connection, scaling_decisions, {row.decision_id for row in rows})
    around = _by_id(connection, environment_rows, {row.environment_id for row in rows})
    return [
        GroupView(
            row,
            around[row.environment_id],
            newest.get(row.decision_id),
            tuple(one for one in here if one.group_id == row.id),
        )
        for row in rows
    ]


def _by_id(connection: Connection, table: Any, ids: Collection[str | None]) -> dict[Any, AnyRow]:
    wanted = [one for one in ids if one is not None]
    return {row.id: row for row in connection.execute(select(table).where(table.c.id.in_(wanted)))}


def _by_name(connection: Connection, lookup: str) -> AnyRow:
    row = connection.execute(
        select(worker_groups).where(
            (worker_groups.c.name == lookup) | (worker_groups.c.id == lookup)
        )
    ).first()
    if row is None:
        raise NotFound(f"No worker group {lookup!r}: `talkoot group list` names them.")
    return row


# -- changing -------------------------------------------------------------------------------------
def change(
    world: World, caller: Caller | None, lookup: str, given: Mapping[str, Any], now: datetime
) -> AnyRow:
    """Change what CHANGEABLE names, given by field. Raises Invalid, NotFound, Forbidden.

    The stack's config says bounds and channel too: write it to Git, or the next `up` of a person
    brings the old ones back.
    """
    _authorise(caller)
    unknown = [name for name in given if name not in CHANGEABLE]
    if unknown:
        raise Invalid(*(FieldError(name, "This cannot be changed.") for name in unknown))

    def work(connection: Connection) -> AnyRow:
        row = _by_name(connection, lookup)
        whole = {name: getattr(row, _COLUMNS.get(name, name)) for name in CHANGEABLE} | dict(given)
        faults = rules.number_faults({name: whole[name] for name in whole if name != "channel"})
        if not whole["channel"] or len(whole["channel"]) > 32:
            faults.append(FieldError("channel", "Name a channel of agent releases."))
        if faults:
            raise Invalid(*faults)
        inputs = dict(row.inputs)
        inputs |= {_IN_STACK[name]: str(given[name]) for name in given if name in _IN_STACK}
        values = {_COLUMNS.get(name, name): value for name, value in given.items()}
        values |= {"inputs": inputs, "config_version": rules.config_version(inputs)}
        return _write(connection, caller, row, ("worker_group.change", values, now))

    changed = world.database.write(work)
    wakeups.wake_all(world, now)
    return changed


def set_enabled(
    world: World, caller: Caller | None, lookup: str, is_enabled: bool, now: datetime
) -> AnyRow:
    """Switch a group on or off; switched off it starts nothing, and idle machines leave."""
    _authorise(caller)
    action = "worker_group.enable" if is_enabled else "worker_group.disable"

    def work(connection: Connection) -> AnyRow:
        row = _by_name(connection, lookup)
        if row.is_enabled == is_enabled:
            return row
        return _write(connection, caller, row, (action, {"is_enabled": is_enabled}, now))

    changed = world.database.write(work)
    wakeups.wake_all(world, now)
    return changed


def _write(
    connection: Connection,
    caller: Caller | None,
    row: AnyRow,
    change_: tuple[str, dict[str, Any], datetime],
) -> AnyRow:
    action, values, now = change_
    connection.execute(
        update(worker_groups).where(worker_groups.c.id == row.id).values(**values, mtime=now)
    )
    audit.record(connection, caller, action, row.name, None, values, now)
    return _by_name(connection, row.id)


def _authorise(caller: Caller | None) -> None:
    if caller is not None and not caller.is_admin:
        raise Forbidden("Only an administrator sees and changes worker groups.")
