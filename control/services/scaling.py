"""What the planner looks at, read from the database alone, and the record of what it decides.

`observe` costs the same whatever waits: the queue is kept counts, never a list. `record` writes
under guards: a group that moved since it was looked at is left to the next tick, and each drain is
asked of the machine's own row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from control.database.ids import new_id
from control.database.rows import AnyRow
from control.database.tables.environments import environments, workers
from control.database.tables.executions import attempts, execution_counts
from control.database.tables.worker_groups import machines, scaling_decisions, worker_groups
from control.domain.reaping import is_suspect
from control.domain.scaling.memory import as_json, from_json, remember_config, remember_launch
from control.domain.scaling.state import (
    Demand,
    GroupNow,
    GroupPlan,
    Machine,
    MachineState,
    Plan,
)
from control.domain.states import Status
from control.services import drains, queueing
from control.services.group_policy import policy_of
from control.services.world import World

REASON_EVERY = timedelta(seconds=5)
"""A decision of which only the words changed, such as a count, is recorded no more often."""

_GROUPS = (
    select(
        worker_groups,
        environments.c.is_enabled.label("environment_is_enabled"),
        scaling_decisions.c.time.label("decided_at"),
        scaling_decisions.c.reason.label("decided_reason"),
        scaling_decisions.c.blocked_by.label("decided_blocked_by"),
    )
    .join(environments, environments.c.id == worker_groups.c.environment_id)
    .outerjoin(scaling_decisions, scaling_decisions.c.id == worker_groups.c.decision_id)
    .order_by(worker_groups.c.id)
)
_MACHINES = (
    select(
        machines,
        workers.c.slots.label("worker_slots"),
        workers.c.idle_since,
        workers.c.last_seen_at,
        workers.c.drain_requested_at,
        workers.c.drain_cause,
        workers.c.status.label("worker_status"),
    )
    .outerjoin(workers, workers.c.id == machines.c.worker_id)
    .where(machines.c.gone_at.is_(None), machines.c.group_id.is_not(None))
    .order_by(machines.c.launched_at, machines.c.id)
)
_LEASES = (
    select(attempts.c.worker_id, func.count())
    .where(attempts.c.ended_at.is_(None))
    .group_by(attempts.c.worker_id)
)
_QUEUED = (
    select(execution_counts.c.environment_id, func.sum(execution_counts.c.count))
    .where(
        execution_counts.c.status == Status.QUEUED,
        execution_counts.c.environment_id.in_(select(worker_groups.c.environment_id)),
    )
    .group_by(execution_counts.c.environment_id)
)


@dataclass(frozen=True, slots=True)
class Observation:
    """The groups and what waits, for `plan`; the rest is for `record`."""

    groups: tuple[GroupNow, ...]
    demands: tuple[Demand, ...]
    rows: Mapping[str, AnyRow]  # group's name to its row, with the newest decision's words
    retiring: frozenset[str]  # machines that get no more work, and are not drained yet
    held: frozenset[str] = frozenset()  # those of them that get none for now


# -- looking --------------------------------------------------------------------------------------
def observe(world: World, now: datetime, *, name: str | None = None) -> Observation:
    """Read every group, or that of one environment's group `name`, and what waits for them."""
    with world.database.read() as connection:
        rows = connection.execute(_GROUPS).all()
        if name is not None:
            served = {row.environment_id for row in rows if row.name == name}
            rows = [row for row in rows if row.environment_id in served]
        if not rows:
            return Observation((), (), {}, frozenset())
        here = connection.execute(_MACHINES).all()
        leases: dict[str, int] = {row[0]: row[1] for row in connection.execute(_LEASES)}
        queued: dict[str, int] = {row[0]: row[1] for row in connection.execute(_QUEUED)}
    registry = _registry_read_at(here, now)
    of_group: dict[str, list[AnyRow]] = {}
    for one in here:
        of_group.setdefault(one.group_id, []).append(one)
    groups = tuple(_group(row, of_group.get(row.id, []), leases, (registry, now)) for row in rows)
    environment_ids = dict.fromkeys(row.environment_id for row in rows)
    demands = tuple(
        Demand(environment_id, slots=1, count=int(queued[environment_id]))
        for environment_id in environment_ids
        if queued.get(environment_id, 0) > 0
    )
    retiring = frozenset(one.id for one in here if _is_retiring(one))
    held = frozenset(one.id for one in here if one.drain_cause == drains.HOLD)
    return Observation(groups, demands, {row.name: row for row in rows}, retiring, held & retiring)


def _group(
    row: AnyRow,
    here: Sequence[AnyRow],
    leases: Mapping[str, int],
    read: tuple[datetime, datetime],
) -> GroupNow:
    registry, now = read
    template = here[-1].config_version if here else ""
    found = tuple(
        _machine(one, leases.get(one.worker_id, 0), template, (registry, now)) for one in here
    )
    policy = policy_of(row)
    live = sum(machine.is_live for machine in found)
    return GroupNow(
        policy=policy,
        memory=remember_config(from_json(row.memory), policy),
        machines=found,
        in_flight=max(0, row.wanted - live),
        cloud_read_at=row.seen_at,
        registry_read_at=registry,
        is_paused=row.paused_by is not None,
        has_shrunk=row.has_shrunk,
    )


def _machine(row: AnyRow, held: int, template: str, read: tuple[datetime, datetime]) -> Machine:
    registry, now = read
    state = MachineState(row.state)
    has_joined = row.worker_id is not None and row.worker_status != "left"
    if state is MachineState.LAUNCHING and has_joined:
        state = MachineState.READY  # the cloud's list is read less often than agents join
    slots = row.worker_slots or 1
    # While others are heard, a silent one gets no work; while nobody is, the fault is ours.
    is_silent = has_joined and is_suspect(row.last_seen_at, now) and not is_suspect(registry, now)
    busy = slots if is_silent else held
    return Machine(
        id=row.id,
        state=state,
        slots=slots,
        busy_slots=busy,
        launched_at=row.launched_at,
        idle_since=row.idle_since if has_joined and not busy else None,
        is_outdated=bool(row.config_version) and row.config_version != template,
        # One that retires gets no more work whatever happens: it goes as soon as it is idle.
        is_broken=_is_to_go(row),
        is_end_sent=row.end_sent_at is not None,
        is_reclaimed=row.reclaim_at is not None,
        is_held=_is_retiring(row) and row.drain_cause == drains.HOLD,
    )


def _is_retiring(row: AnyRow) -> bool:
    return row.state == MachineState.READY and row.drain_requested_at is not None


def _is_to_go(row: AnyRow) -> bool:
    """Tell whether it retires, or a person drains it: the planner never takes that back."""
    if row.drain_cause == drains.PERSON:
        return True
    return _is_retiring(row) and row.drain_cause != drains.HOLD


def _registry_read_at(here: Iterable[AnyRow], now: datetime) -> datetime:
    """The newest heartbeat of any machine; with none to hear there is nothing to wait for."""
    heard = [row.last_seen_at for row in here if row.last_seen_at is not None]
    return min(now, max(heard)) if heard else now


# -- recording ------------------------------------------------------------------------------------
def record(world: World, seen: Observation, plan: Plan, now: datetime) -> int:
    """Write what was decided, where it changes anything; how many decisions were written."""
    queued = {demand.environment: demand.count for demand in seen.demands}
    waiting: list[tuple[str, Any]] = []
    for group, decided in zip(seen.groups, plan.groups, strict=True):
        row = seen.rows[decided.group]
        orders = _orders(seen, group, decided)
        if not (orders.has_any or _says_more(row, decided, now)):
            continue
        facts = _Facts(row, decided, orders, queued.get(row.environment_id, 0), counts_of(group))
        written = world.database.submit(_Record(facts, now))
        waiting.append((row.environment_id, written))
    changed = [environment_id for environment_id, written in waiting if written.result()]
    for environment_id in dict.fromkeys(changed):
        queueing.announce_environment(world, environment_id)
    return len(changed)


@dataclass(frozen=True, slots=True)
class _Orders:
    """What is to change on machines, by id."""

    drain: tuple[str, ...]
    undrain: tuple[str, ...]
    retire: tuple[str, ...]
    keep: tuple[str, ...]
    hold: tuple[str, ...]
    release: tuple[str, ...]

    @property
    def has_any(self) -> bool:
        told = self.drain or self.undrain or self.retire or self.keep
        return bool(told or self.hold or self.release)


@dataclass(frozen=True, slots=True)
class _Facts:
    row: AnyRow
    plan: GroupPlan
    orders: _Orders
    queued: int
    counts: tuple[int, int]  # live, busy


def _orders(seen: Observation, group: GroupNow, plan: GroupPlan) -> _Orders:
    sound = {
        machine.id
        for machine in group.machines
        if machine.id in seen.retiring and not machine.is_outdated
    }
    leaving = {*plan.drain, *plan.retire}
    return _Orders(
        drain=plan.drain,
        undrain=plan.undrain,
        retire=tuple(one for one in plan.retire if one not in seen.retiring - seen.held),
        keep=tuple(sorted(sound - leaving - seen.held)),
        hold=tuple(one for one in plan.hold if one not in seen.retiring),
        release=tuple(sorted((sound & seen.held) - leaving - {*plan.hold})),
    )


def counts_of(group: GroupNow) -> tuple[int, int]:
    """Count a group's live and its busy machines."""
    live = sum(machine.is_live for machine in group.machines)
    return live, sum(machine.busy_slots > 0 for machine in group.machines)


def _says_more(row: AnyRow, plan: GroupPlan, now: datetime) -> bool:
    """Tell whether a plan says anything that the newest decision does not."""
    if row.decided_at is None or plan.launch or plan.wanted != row.wanted:
        return True
    if plan.blocked_by != row.decided_blocked_by:
        return True
    return plan.reason != row.decided_reason and now - row.decided_at >= REASON_EVERY


@dataclass(frozen=True, slots=True)
class _Record:
    """Writes one group's decision in a transaction: 1 when it was written."""

    facts: _Facts
    now: datetime

    def __call__(self, connection: Connection) -> int:
        row, plan = self.facts.row, self.facts.plan
        current = connection.execute(
            select(worker_groups).where(worker_groups.c.id == row.id).with_for_update()
        ).one()
        if (current.wanted, current.decision_id) != (row.wanted, row.decision_id):
            return 0  # it moved since it was looked at
        drained = self._carry_out(connection)
        if drained is None and not _says_more(row, plan, self.now):
            return 0
        decision_id = self._insert(connection, drained or ())
        memory = remember_config(from_json(current.memory), policy_of(row))
        if plan.launch:
            memory = remember_launch(memory, self.now)
        values: dict[str, Any] = {"decision_id": decision_id, "memory": as_json(memory)}
        if plan.launch or plan.wanted != row.wanted:
            values |= {"wanted": plan.wanted, "wanted_at": self.now}
        connection.execute(
            update(worker_groups).where(worker_groups.c.id == row.id).values(**values)
        )
        return 1

    def _carry_out(self, connection: Connection) -> tuple[str, ...] | None:
        """Order machines; the ids that drain now, None when no order was taken.

        Who is held changes often and changes no size: that alone is no decision to record.
        """
        orders, reason = self.facts.orders, self.facts.plan.reason
        kept = [drains.take_back(connection, one, reason) for one in orders.undrain]
        kept += [drains.keep(connection, one) for one in orders.keep]
        kept += [drains.retire(connection, one, self.now) for one in orders.retire]
        for one in orders.release:
            drains.keep(connection, one)
        for one in orders.hold:
            drains.hold(connection, one, self.now)
        drained = tuple(
            one for one in orders.drain if drains.ask(connection, one, reason, self.now)
        )
        return drained if drained or any(kept) else None

    def _insert(self, connection: Connection, drained: tuple[str, ...]) -> str:
        facts, decision_id = self.facts, new_id(self.now)
        live, busy = facts.counts
        connection.execute(
            insert(scaling_decisions).values(
                id=decision_id,
                group_id=facts.row.id,
                time=self.now,
                queued=facts.queued,
                wanted=facts.plan.wanted,
                live=live,
                busy=busy,
                launch=facts.plan.launch,
                drain=list(drained),
                blocked_by=facts.plan.blocked_by,
                reason=facts.plan.reason,
            )
        )
        return decision_id
