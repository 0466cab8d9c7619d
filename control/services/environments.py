"""Environments: what a person picks to run on."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, select, update

from control.database.ids import new_id
from control.database.rows import AnyRow
from control.database.tables.environments import environments
from control.database.tables.executions import execution_counts
from control.domain.errors import FieldError, Forbidden, Invalid, NotFound
from control.domain.roles import Caller
from control.domain.states import INCOMPLETE, Status
from control.services import audit
from control.services.world import World

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class NewEnvironment:
    """What an operator says of an environment; durations in seconds."""

    slug: str
    name: str = ""  # "" takes the slug
    description: str = ""
    kind: str = "local"
    gpu_spec: str = ""
    per_hour_price_usd: float = 0.0
    per_user_queue_quota: int = 0
    lease_s: int = 600
    stop_grace_s: int = 10
    network: str = "bridge"
    is_default: bool = False


# Asked by every submission: built once, for building costs more than asking.
_BY_NAME = select(environments).where(
    (environments.c.id == bindparam("lookup")) | (environments.c.slug == bindparam("lookup"))
)
_DEFAULT = (
    select(environments)
    .where(environments.c.is_enabled)
    .order_by(environments.c.is_default.desc(), environments.c.ctime, environments.c.id)
    .limit(1)
)


def list_all(world: World, *, enabled_only: bool = False) -> list[AnyRow]:
    """List environments by name; each row also has `unfinished_job_count`."""
    unfinished = (
        select(func.coalesce(func.sum(execution_counts.c.count), 0))
        .where(
            execution_counts.c.environment_id == environments.c.id,
            execution_counts.c.status.in_(INCOMPLETE),
        )
        .scalar_subquery()
        .label("unfinished_job_count")
    )
    query = select(environments, unfinished).order_by(environments.c.name, environments.c.id)
    if enabled_only:
        query = query.where(environments.c.is_enabled)
    with world.database.read() as connection:
        return list(connection.execute(query))


def id_of(world: World, lookup: str) -> str:
    """Find an environment's id by id or slug. Raises NotFound."""
    with world.database.read() as connection:
        row = connection.execute(_BY_NAME, {"lookup": lookup}).first()
    if row is None:
        raise NotFound(f"There is no environment '{lookup}'.")
    return str(row.id)


def count_waiting(world: World, environment_id: str) -> int:
    """Count what is queued or held back there; by the counts kept, so at any length alike."""
    with world.database.read() as connection:
        return int(
            connection.execute(
                select(func.coalesce(func.sum(execution_counts.c.count), 0)).where(
                    execution_counts.c.environment_id == environment_id,
                    execution_counts.c.status.in_((Status.CREATED, Status.QUEUED)),
                )
            ).scalar_one()
        )


def find(connection: Connection, lookup: str, *, field: str = "environment") -> AnyRow:
    """Find by id, slug, name, or a part of the name in any case (client-contract.md 2.5.1).

    Raises Invalid that names `field`.
    """
    row = connection.execute(_BY_NAME, {"lookup": lookup}).first()
    if row is None and lookup:
        row = connection.execute(
            select(environments)
            .where(func.lower(environments.c.name).contains(lookup.lower(), autoescape=True))
            .order_by(func.length(environments.c.name), environments.c.name)
        ).first()
    if row is None:
        raise Invalid.one(field, f"No environment with id or slug '{lookup}'.", "does_not_exist")
    return row


def default(connection: Connection) -> AnyRow | None:
    """The platform's default: the one marked so, else the first that is switched on."""
    return connection.execute(_DEFAULT).first()


def add(world: World, caller: Caller | None, new: NewEnvironment, now: datetime) -> AnyRow:
    """Add an environment; the first one becomes the default. Raises Invalid, Forbidden."""
    if caller is not None and not caller.is_admin:
        raise Forbidden("Only an administrator adds environments.")
    return world.database.write(lambda connection: add_in(connection, caller, new, now))


def add_in(
    connection: Connection, caller: Caller | None, new: NewEnvironment, now: datetime
) -> AnyRow:
    """Add one within somebody's transaction, who has checked the right to. Raises Invalid."""
    errors = _faults(new)
    if errors:
        raise Invalid(*errors)
    environment_id = new_id(now)
    values = {**asdict(new), "name": new.name or new.slug}
    if by_slug(connection, new.slug) is not None:
        raise Invalid.one("slug", f"There is an environment {new.slug!r} already.", "unique")
    is_default = new.is_default or default(connection) is None
    if is_default:
        connection.execute(update(environments).values(is_default=False))
    connection.execute(
        insert(environments).values(
            **{**values, "is_default": is_default}, id=environment_id, ctime=now, mtime=now
        )
    )
    audit.record(connection, caller, "environment.add", new.slug, None, values, now)
    return connection.execute(select(environments).where(environments.c.id == environment_id)).one()


def by_slug(connection: Connection, slug: str) -> AnyRow | None:
    """Find by the slug alone; None when there is none."""
    return connection.execute(select(environments).where(environments.c.slug == slug)).first()


def _faults(new: NewEnvironment) -> list[FieldError]:
    errors: list[FieldError] = []
    if not _SLUG.fullmatch(new.slug):
        errors.append(
            FieldError("slug", "A slug has small letters, digits, - _ and . (at most 100).")
        )
    for field, text, limit in (("name", new.name, 150), ("gpu_spec", new.gpu_spec, 150)):
        if len(text) > limit:
            errors.append(FieldError(field, f"At most {limit} characters."))
    for field, number, least, most in (
        ("lease_s", new.lease_s, 10, 24 * 3600),
        ("stop_grace_s", new.stop_grace_s, 0, 3600),
        ("per_hour_price_usd", new.per_hour_price_usd, 0, 1_000_000),
        ("per_user_queue_quota", new.per_user_queue_quota, 0, 1_000_000),
    ):
        if not least <= number <= most:
            errors.append(FieldError(field, f"A number from {least} to {most} is expected."))
    return errors
