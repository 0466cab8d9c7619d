"""Machines of worker groups: the rows that say what we know of each, and their guarded changes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, exists, select, update

from control.database.tables.executions import attempts
from control.database.tables.worker_groups import machines
from control.domain.scaling.state import MachineState


def record_end_sent(
    connection: Connection, machine_id: str, now: datetime, *, reason: str = ""
) -> bool:
    """Claim the right to end a machine, before the cloud is asked to; True when this call won.

    Refused while its agent holds a lease, and when the end was sent already: from here on no way
    leads back (infrastructure.md 3.3 step 7). If the cloud cannot be reached then, reconcile
    sends the end again until the machine is gone.
    """
    holds_lease = exists(
        select(attempts.c.id).where(
            attempts.c.worker_id == machines.c.worker_id, attempts.c.ended_at.is_(None)
        )
    )
    values = {"state": MachineState.TERMINATING, "end_sent_at": now, "end_tries": 1}
    changed = connection.execute(
        update(machines)
        .where(
            machines.c.id == machine_id,
            machines.c.gone_at.is_(None),
            machines.c.end_sent_at.is_(None),
            ~holds_lease,
        )
        .values(**values, **({"reason": reason} if reason else {}))
    )
    return changed.rowcount == 1
