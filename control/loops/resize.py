"""Carries out the newest wanted size of each group by an engine run on its stack; only grows.

Decides nothing: `autoscale` wrote the size. A run happens only when a size or a config changed.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import structlog

from control.database.rows import AnyRow
from control.domain import resizing as rules
from control.domain import worker_groups as group_rules
from control.domain.cloud_ports import GroupRef, StackOperation, StackResult
from control.domain.errors import Fenced, PermanentError, TalkootError, TemporaryError
from control.loops import recover
from control.loops.acting import Acting, Aside
from control.loops.telling import Telling
from control.services import resizing, stack_leases, stack_runs, wakeups
from control.services.resizing import Carried, Due
from control.services.stack_leases import Lease

log = structlog.get_logger()

EVERY_S = 0.5
"""While a size settles or its run goes on."""
IDLE_S = 5.0
"""Without anything to do; whoever decides a size wakes the loop."""
BLIND_S = 1.0
"""Without anything to do, while the queue server is away and nobody can be woken."""
CLOUD_SILENT = timedelta(seconds=15)
"""Until a cloud is asked again that did not say how many machines there are."""


class Resizer:
    """Starts runs aside, one a stack, after a burst of decisions has settled."""

    def __init__(self, acting: Acting, at_once: int) -> None:
        self._acting = acting
        self._aside = Aside("resize", at_once)
        self._first_seen: dict[str, datetime] = {}
        self.is_busy = False  # something is due, and must be looked after

    def tick(self) -> int:
        """Start what is due and has settled; how many were started."""
        now = self._acting.clock()
        due = resizing.due(self._acting.world, now)
        self.is_busy = bool(due)
        self._first_seen = {
            one.stack: self._first_seen.get(one.stack, now)
            for one in due
            if not self._aside.is_running(one.stack)
        }
        started = 0
        for one in due:
            seen_at = self._first_seen.get(one.stack)
            if seen_at is None or now - seen_at < timedelta(seconds=rules.DEBOUNCE_S):
                continue
            started += self._aside.start(one.stack, lambda one=one: carry_out(self._acting, one))
        return started

    def rest(self, stop: threading.Event) -> None:
        """Wait for the next tick: until a size is decided, if there is nothing to do."""
        if self.is_busy:
            stop.wait(EVERY_S)
        else:
            wakeups.rest(self._acting.world, wakeups.RESIZE, IDLE_S, stop, blind_s=BLIND_S)

    def close(self) -> None:
        """Wait for the runs that go on."""
        self._aside.close()


def carry_out(acting: Acting, due: Due) -> StackResult | None:
    """Run the engine for one group; None when somebody else does or nothing is to be done."""
    lease = stack_leases.take(
        acting.world, due.stack, acting.holder, acting.clock(), host=acting.host
    )
    if lease is None:
        return None
    if not recover.clean(acting, lease):
        return None
    try:
        return _carry_out(acting, lease, due.group_id)
    except Fenced:
        log.warning("stack_lease_lost", stack=due.stack)
        return None
    finally:
        stack_leases.release(acting.world, lease, acting.clock())


def _carry_out(acting: Acting, lease: Lease, group_id: str) -> StackResult | None:
    """Under the lease: look at reality, run, record."""
    group = resizing.read(acting.world, group_id)  # the newest size wins
    if group is None or not rules.judge(resizing.size_of(group), acting.clock()).must_run:
        return None
    try:
        live = _live(acting, group)
    except (TemporaryError, PermanentError) as error:
        until = acting.clock() + CLOUD_SILENT
        resizing.record_hold(acting.world, group.id, error.message, until)
        return None
    if _is_there_already(group, live):
        resizing.record_found(acting.world, lease, group.id, live, acting.clock())
        return None
    return _run(acting, lease, group, live)


def _live(acting: Acting, group: AnyRow) -> int:
    """Say how many machines the cloud's group has or is getting; reality wins over our rows."""
    listed = resizing.live_count(acting.world, group.id)
    if not group.resource:
        return listed
    ref = GroupRef(group.name, group.region, group.resource)
    capacity = acting.world.clouds(group.cloud).capacity(ref)
    if capacity is not None:
        return capacity.desired
    # Gone behind our back: the recorded state must learn that before it is updated.
    log.warning("group_not_in_cloud", group=group.name, resource=group.resource)
    acting.engine.recover(group.stack, None, recover.finder(acting, group.stack))
    return 0


def _is_there_already(group: AnyRow, live: int) -> bool:
    is_same_config = group.config_version == group.applied_version
    return is_same_config and group.applied_at is not None and live >= group.wanted


def _run(acting: Acting, lease: Lease, group: AnyRow, live: int) -> StackResult:
    size = rules.size_for(group.wanted, live)
    reason = resizing.reason_of(acting.world, group.decision_id)
    operation = StackOperation(
        stack=group.stack,
        verb="up",
        config={"size": str(size)},
        message=f"{group.decision_id or 'config'}: {reason}"[:500],
        time_limit_s=acting.time_limit_s,
        unless_in_git=group_rules.config_of(group.cloud, group.region, group.inputs),
        may_create=group.applied_at is None,
        live=live,
    )
    new = stack_runs.NewRun("up", acting.engine.commit(), group.id, size, group.decision_id)
    run_id = stack_runs.begin(acting.world, lease, new, acting.clock())
    log.info("stack_run_began", stack=group.stack, run=run_id, size=size, reason=reason)
    with Telling(acting, lease, run_id) as telling:
        try:
            result = acting.engine.run(
                operation,
                on_event=telling.event,
                on_start=telling.started,
                should_stop=telling.should_stop,
            )
        except TalkootError as error:
            result = StackResult("failed", error=error.message)
    carried = Carried(run_id, group, size, acting.dice())
    if not resizing.record_end(acting.world, lease, carried, result, acting.clock()):
        raise Fenced
    log.info("stack_run_ended", stack=group.stack, run=run_id, outcome=result.outcome)
    if result.outcome == "succeeded" and not group.resource:
        _learn_resource(acting, group)
    return result


def _learn_resource(acting: Acting, group: AnyRow) -> None:
    """Keep the name of the cloud's group: a first `up` chose it."""
    resource = str(acting.engine.outputs(group.stack).get("resource") or "")
    if resource:
        resizing.record_resource(acting.world, group.id, resource)
