"""Users: adding them and letting them in. Their secrets are in tokens.py and passwords.py."""

from __future__ import annotations

import re
from datetime import datetime
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, insert, select, update

from control.database.rows import AnyRow
from control.database.session import Database
from control.database.tables.people import users
from control.domain.errors import Forbidden, Invalid, NotFound
from control.domain.roles import Caller
from control.services import audit, tokens
from control.services.passwords import Brake, hash_password, is_password
from control.services.world import World

_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,149}")
_brakes: WeakKeyDictionary[Database, Brake] = WeakKeyDictionary()


def add_user(
    world: World, username: str, password: str | None, is_admin: bool, now: datetime
) -> AnyRow:
    """Add a person; without a password only tokens let them in. Raises Invalid."""
    if not _USERNAME.fullmatch(username):
        raise Invalid.one(
            "username", "A user name has letters, digits and . _ @ + - and at most 150 of them."
        )
    hashed = hash_password(password) if password is not None else None

    def work(connection: Connection) -> AnyRow:
        if _by_name(connection, username) is not None:
            raise Invalid.one("username", f"There is a user {username!r} already.", "unique")
        connection.execute(
            insert(users).values(
                username=username, password_hash=hashed, is_admin=is_admin, ctime=now
            )
        )
        audit.record(connection, None, "user.add", username, None, {"is_admin": is_admin}, now)
        found = _by_name(connection, username)
        assert found is not None
        return found

    return world.database.write(work)


def set_password(world: World, username: str, password: str, now: datetime) -> None:
    """Replace a password, for an operator's command. Raises NotFound, Invalid."""
    hashed = hash_password(password)

    def work(connection: Connection) -> None:
        changed = connection.execute(
            update(users).where(users.c.username == username).values(password_hash=hashed)
        )
        if changed.rowcount == 0:
            raise NotFound(f"There is no user {username!r}.")
        audit.record(connection, None, "user.set_password", username, None, None, now)

    world.database.write(work)


def add_token(world: World, username: str, name: str, now: datetime) -> str:
    """Make an API token for a user, for an operator's command; answers the secret once."""

    def work(connection: Connection) -> str:
        user = _by_name(connection, username)
        if user is None:
            raise NotFound(f"There is no user {username!r}.")
        token_id, secret = tokens.create(connection, user.id, "api", now, name=name)
        audit.record(connection, None, "token.create", username, None, {"id": token_id}, now)
        return secret

    return world.database.write(work)


def authenticate_password(world: World, username: str, password: str, now: datetime) -> Caller:
    """Let somebody in by password. Takes some 50 ms on purpose.

    Raises Invalid for a wrong one, QuotaExceeded after too many.
    """
    brake = _brakes.setdefault(world.database, Brake())
    brake.check(username, now)
    with world.database.read() as connection:
        user = _by_name(connection, username)
    stored = user.password_hash if user is not None and user.is_active else None
    if not is_password(stored, password) or user is None:
        brake.failed(username, now)
        raise Invalid.one(
            "non_field_errors", "The user name or the password is wrong.", "invalid_credentials"
        )
    brake.succeeded(username)
    return Caller(user.id, user.username, is_admin=user.is_admin, via="session")


def sign_in_for_token(world: World, username: str, password: str, now: datetime) -> str:
    """Exchange a password for a new API token (client-contract.md 2.1)."""
    caller = authenticate_password(world, username, password, now)

    def work(connection: Connection) -> str:
        token_id, secret = tokens.create(
            connection, caller.user_id, "api", now, name=f"vh login {now:%Y-%m-%d %H:%M}"
        )
        audit.record(connection, caller, "user.sign_in", "token", None, {"id": token_id}, now)
        return secret

    return world.database.write(work)


def get_user(world: World, caller: Caller) -> AnyRow:
    """Read the caller's own row."""
    with world.database.read() as connection:
        user = connection.execute(select(users).where(users.c.id == caller.user_id)).first()
    if user is None:
        raise NotFound
    return user


def list_users(world: World, caller: Caller) -> list[AnyRow]:
    """List everybody, by name; an administrator's sight."""
    if not caller.is_admin:
        raise Forbidden("Only an administrator sees the list of users.")
    with world.database.read() as connection:
        return list(connection.execute(select(users).order_by(users.c.username)))


def _by_name(connection: Connection, username: str) -> AnyRow | None:
    return connection.execute(select(users).where(users.c.username == username)).first()
