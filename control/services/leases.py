"""Leases of the loops: one process runs a loop at a time (ARCH-5)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, or_
from sqlalchemy.dialects import postgresql, sqlite

from control.database.tables.people import loop_leases
from control.services.world import World


def take(world: World, name: str, holder: str, now: datetime, life: timedelta) -> bool:
    """Take or extend a lease; False while somebody else holds it."""

    def work(connection: Connection) -> bool:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        won = connection.execute(
            dialect.insert(loop_leases)
            .values(name=name, holder=holder, until=now + life)
            .on_conflict_do_update(
                index_elements=["name"],
                set_={"holder": holder, "until": now + life},
                where=or_(loop_leases.c.holder == holder, loop_leases.c.until <= now),
            )
            # Asked for, as the count of rows that an INSERT wrote is unknown on PostgreSQL (-1).
            .returning(loop_leases.c.name)
        )
        return won.first() is not None

    return world.database.write(work)


def release(world: World, name: str, holder: str) -> None:
    """Give a lease back, so that another process need not wait for its end."""
    world.database.write(
        lambda connection: (
            connection.execute(
                delete(loop_leases).where(
                    loop_leases.c.name == name, loop_leases.c.holder == holder
                )
            )
            and None
        )
    )
