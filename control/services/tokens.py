"""Secrets that let somebody in: API tokens, browser sessions, single-use sign-in links.

The secret itself is shown once and never stored; its hash is.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, delete, insert, select, update

from control.database.ids import hash_secret, new_id, new_secret
from control.database.rows import AnyRow, AnySelect
from control.database.session import Database
from control.database.tables.people import tokens, users
from control.domain.errors import Invalid, NotFound, Unauthenticated
from control.domain.roles import Caller
from control.services import audit
from control.services.world import World

SESSION_COOKIE = "talkoot_session"
CSRF_HEADER = "X-CSRF-Token"
"""The names that pages and API agree on; a form sends the same value as field `csrf_token`."""

LINK_LIFE = timedelta(minutes=10)
CACHE_LIFE = timedelta(seconds=5)
"""How long a revoked token may still work in another process."""
_USED_EVERY = timedelta(minutes=1)
_MAX_CACHED = 10_000


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who a secret belongs to. `csrf` is set for sessions."""

    caller: Caller
    token_id: str
    csrf: str | None
    expires_at: datetime | None


@dataclass(slots=True)
class _Cached:
    signed_in: SignedIn
    until: datetime
    is_asked_again: bool = False  # by one request, so that not all of them ask at the end


class _Cache:
    """What was looked up in the last seconds, by kind and hash."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], _Cached] = {}


_caches: WeakKeyDictionary[Database, _Cache] = WeakKeyDictionary()
_lock = threading.Lock()


def authenticate_token(world: World, secret: str, now: datetime) -> Caller:
    """Say whose API token this is. Raises Unauthenticated."""
    return authenticate(world, secret, "api", now).caller


def authenticate(world: World, secret: str, kind: str, now: datetime) -> SignedIn:
    """Look a secret of a kind up, from a cache of a few seconds. Raises Unauthenticated."""
    cache = _cache_of(world)
    key = (kind, hash_secret(secret))
    cached = cache.entries.get(key)
    if cached is not None and now < cached.until:
        if cached.is_asked_again or now < cached.until - CACHE_LIFE / 2:
            _check_life(cached.signed_in, now)
            return cached.signed_in
        cached.is_asked_again = True
    with world.database.read() as connection:
        row = _find(connection, kind, key[1])
    if row is None:
        cache.entries.pop(key, None)
        raise Unauthenticated("Invalid token.")
    signed_in = _signed_in(row)
    _check_life(signed_in, now)
    if len(cache.entries) >= _MAX_CACHED:
        cache.entries.clear()
    cache.entries[key] = _Cached(signed_in, now + CACHE_LIFE)
    if row.used_at is None or now - row.used_at >= _USED_EVERY:
        world.database.submit(lambda connection: _mark_used(connection, row.id, now))
    return signed_in


def create(
    connection: Connection, user_id: int, kind: str, now: datetime, **about: Any
) -> tuple[str, str]:
    """Insert a token inside a transaction: (id, secret). `about`: name, expires_at, csrf."""
    secret = new_secret({"api": "tkt_", "login_link": "tkl_"}.get(kind, ""))
    token_id = new_id(now)
    connection.execute(
        insert(tokens).values(
            id=token_id,
            user_id=user_id,
            kind=kind,
            name=str(about.get("name", ""))[:100],
            hash=hash_secret(secret),
            ctime=now,
            expires_at=about.get("expires_at"),
            csrf=about.get("csrf"),
        )
    )
    return token_id, secret


def create_token(
    world: World, caller: Caller, name: str, now: datetime, *, expires_at: datetime | None = None
) -> tuple[str, str]:
    """Make an API token of the caller's: (id, secret). The secret is never shown again."""
    if not name.strip():
        raise Invalid.one("name", "Give the token a name, to know it again later.", "required")
    if expires_at is not None and expires_at <= now:
        raise Invalid.one("expires_at", "This time has passed.")

    def work(connection: Connection) -> tuple[str, str]:
        made = create(
            connection, caller.user_id, "api", now, name=name.strip(), expires_at=expires_at
        )
        audit.record(connection, caller, "token.create", name.strip(), None, {"id": made[0]}, now)
        return made

    return world.database.write(work)


def list_tokens(world: World, caller: Caller) -> list[AnyRow]:
    """List the caller's API tokens, newest first; secrets are not among the columns."""
    query: AnySelect = (
        select(tokens.c.id, tokens.c.name, tokens.c.ctime, tokens.c.expires_at, tokens.c.used_at)
        .where(tokens.c.user_id == caller.user_id, tokens.c.kind == "api")
        .order_by(tokens.c.id.desc())
    )
    with world.database.read() as connection:
        return list(connection.execute(query))


def revoke_token(world: World, caller: Caller, token_id: str, now: datetime) -> None:
    """Delete one of the caller's tokens. Raises NotFound."""

    def work(connection: Connection) -> None:
        gone = connection.execute(
            delete(tokens).where(
                tokens.c.id == token_id,
                tokens.c.user_id == caller.user_id,
                tokens.c.kind == "api",
            )
        )
        if gone.rowcount == 0:
            raise NotFound
        audit.record(connection, caller, "token.revoke", token_id, None, None, now)

    world.database.write(work)
    forget(world)


def open_session(
    world: World, user_id: int, now: datetime, *, lifetime: timedelta
) -> tuple[str, str]:
    """Open a browser session: (secret for the cookie, CSRF value for forms)."""
    csrf = new_secret()
    _, secret = world.database.write(
        lambda connection: create(
            connection, user_id, "session", now, expires_at=now + lifetime, csrf=csrf
        )
    )
    return secret, csrf


def close_session(world: World, secret: str) -> None:
    """End a session; silent for one that is over."""
    world.database.write(
        lambda connection: connection.execute(
            delete(tokens).where(tokens.c.hash == hash_secret(secret), tokens.c.kind == "session")
        )
    )
    forget(world)


def make_login_link(world: World, user_id: int, now: datetime) -> str:
    """Make the secret of a sign-in link that works once, within ten minutes."""
    _, secret = world.database.write(
        lambda connection: create(
            connection, user_id, "login_link", now, expires_at=now + LINK_LIFE
        )
    )
    return secret


def use_login_link(world: World, secret: str, now: datetime) -> Caller:
    """Spend a sign-in link; of two that try, one gets in. Raises Unauthenticated."""

    def work(connection: Connection) -> Caller:
        row = _find(connection, "login_link", hash_secret(secret))
        if row is None:
            raise Unauthenticated("This sign-in link has been used or is not known.")
        gone = connection.execute(delete(tokens).where(tokens.c.id == row.id))
        if gone.rowcount == 0:
            raise Unauthenticated("This sign-in link has been used or is not known.")
        signed_in = _signed_in(row)
        if row.expires_at is not None and row.expires_at <= now:
            raise Unauthenticated("This sign-in link has expired.")
        audit.record(connection, signed_in.caller, "user.sign_in", "link", None, None, now)
        return signed_in.caller

    return world.database.write(work)


def remove_expired(world: World, now: datetime) -> int:
    """Delete what has expired; for a loop. Answers how many."""
    return world.database.write(
        lambda connection: (
            connection.execute(
                delete(tokens).where(tokens.c.expires_at.is_not(None), tokens.c.expires_at <= now)
            ).rowcount
        )
    )


def forget(world: World) -> None:
    """Drop the cache after a change of tokens or users; other processes follow in seconds."""
    _cache_of(world).entries.clear()


def _cache_of(world: World) -> _Cache:
    cache = _caches.get(world.database)
    if cache is None:
        with _lock:
            cache = _caches.setdefault(world.database, _Cache())
    return cache


def _find(connection: Connection, kind: str, token_hash: str) -> AnyRow | None:
    query: AnySelect = (
        select(
            tokens.c.id,
            tokens.c.user_id,
            tokens.c.kind,
            tokens.c.csrf,
            tokens.c.expires_at,
            tokens.c.used_at,
            users.c.username,
            users.c.is_admin,
        )
        .join(users, users.c.id == tokens.c.user_id)
        .where(tokens.c.hash == token_hash, tokens.c.kind == kind, users.c.is_active)
    )
    return connection.execute(query).first()


def _signed_in(row: AnyRow) -> SignedIn:
    via = "session" if row.kind == "login_link" else row.kind
    caller = Caller(row.user_id, row.username, is_admin=row.is_admin, via=via)
    return SignedIn(caller, row.id, row.csrf, row.expires_at)


def _check_life(signed_in: SignedIn, now: datetime) -> None:
    if signed_in.expires_at is not None and signed_in.expires_at <= now:
        raise Unauthenticated("This token has expired (token_expired).")


def _mark_used(connection: Connection, token_id: str, now: datetime) -> None:
    connection.execute(update(tokens).where(tokens.c.id == token_id).values(used_at=now))
