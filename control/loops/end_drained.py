"""Ends machines that have drained: asked for, obeyed, free of leases.

The machine is gone when the cloud's list says so: that is `reconcile`'s, and so is sending an order
again that a cloud did not take. Source: infrastructure.md 3.3 step 7.
"""

from __future__ import annotations

import structlog

from control.database.rows import AnyRow
from control.domain.cloud_ports import GroupRef
from control.domain.errors import PermanentError, TemporaryError
from control.loops.acting import Acting, Aside
from control.services import ends

log = structlog.get_logger()

EVERY_S = 1.0
AT_ONCE = 8


class Ender:
    """Asks the clouds aside, one machine a group at a time: a slow one holds up its group alone."""

    def __init__(self, acting: Acting, at_once: int = AT_ONCE) -> None:
        self._acting = acting
        self._aside = Aside("end", at_once)

    def tick(self) -> int:
        """Start ending what has drained; in how many groups."""
        of_group: dict[str, list[AnyRow]] = {}
        for machine in ends.obeyed(self._acting.world, self._acting.clock()):
            of_group.setdefault(machine.group_id, []).append(machine)
        return sum(
            self._aside.start(group_id, lambda them=them: self._end_each(them))
            for group_id, them in of_group.items()
        )

    def _end_each(self, machines: list[AnyRow]) -> None:
        for machine in machines:
            end(self._acting, machine)

    def close(self) -> None:
        """Wait for the calls that go on."""
        self._aside.close()


def end(acting: Acting, machine: AnyRow) -> bool:
    """End one machine, or let it work again when the cloud would refuse; whether it was ended."""
    ref = GroupRef(machine.group_name, machine.region, machine.resource)
    try:
        cloud = acting.world.clouds(machine.cloud)
        refusal = cloud.may_terminate(ref, machine.instance_id)
    except (TemporaryError, PermanentError) as error:
        log.info("machine_not_ended", machine=machine.instance_id, reason=error.message)
        return False  # nothing was changed: the next tick asks again
    if refusal is not None:
        log.info("drain_taken_back", machine=machine.instance_id, reason=refusal)
        ends.take_back(acting.world, machine, refusal, acting.clock())
        return False
    if not ends.begin(acting.world, machine, acting.clock()):
        return False
    try:
        cloud.terminate(ref, machine.instance_id)
    except (TemporaryError, PermanentError) as error:
        log.warning("machine_not_ended", machine=machine.instance_id, reason=error.message)
        ends.record_refused(acting.world, machine, error.message)
    log.info("machine_ended", machine=machine.instance_id, group=machine.group_name)
    return True
