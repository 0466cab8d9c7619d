"""Releases of the agent: signed once, kept in the release store, found by channel or version."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from agent import wire
from control.database.rows import AnyRow
from control.database.tables.worker_groups import agent_releases, release_channels, signing_keys
from control.domain.errors import Conflict, Invalid, NotFound
from control.services import audit
from control.services.world import World

DEFAULT_CHANNEL = "stable"
URL_LIFE_S = 900
PROTOCOL = wire.PROTOCOL
AGENT_SOURCES = Path(wire.__file__).parent
"""What a release is built from."""

_KEY_NAME = "agent-release"
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,63}")
_CHANNEL = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """A release and the channels that point to it."""

    row: AnyRow
    channels: tuple[str, ...]


def public_key(world: World, now: datetime) -> str:
    """Give the key that machines check releases with: base64 of its DER; made at first use."""
    return _public_text(_signing_key(world, now))


def _signing_key(world: World, now: datetime) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    raw = key.private_bytes_raw()

    def work(connection: Connection) -> str:
        kind = sqlite if world.database.is_sqlite else postgresql
        connection.execute(
            kind.insert(signing_keys)
            .values(
                name=_KEY_NAME,
                public=_public_text(key),
                sealed=world.box.seal(raw.hex(), purpose=_KEY_NAME),
                ctime=now,
            )
            .on_conflict_do_nothing()
        )
        return connection.execute(
            select(signing_keys.c.sealed).where(signing_keys.c.name == _KEY_NAME)
        ).scalar_one()

    sealed = world.database.write(work)
    return Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex(world.box.open(sealed, purpose=_KEY_NAME))
    )


def _public_text(key: Ed25519PrivateKey) -> str:
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(der).decode()


def publish(world: World, manifest: str, file: Path, now: datetime) -> AnyRow:
    """Sign a release and put it into the store; the same release again changes nothing.

    Raises Invalid for a manifest that is not of this file or speaks another protocol, and Conflict
    where the version exists with other bytes.
    """
    facts = _facts(manifest, file)
    known = _find(world, facts["version"])
    if known is not None:
        if known.sha256 != facts["sha256"]:
            raise Conflict(
                f"Release {known.version} exists with other bytes: build it with another version."
            )
        return known
    version = facts["version"]
    key = f"releases/{version}/{file.name}"
    if world.release_store.stat(key) is None:
        world.release_store.put(key, file)
    signature = _signing_key(world, now).sign(manifest.encode())

    def work(connection: Connection) -> AnyRow:
        connection.execute(
            insert(agent_releases).values(
                version=version,
                protocol=facts["protocol"],
                key=key,
                sha256=facts["sha256"],
                size_bytes=facts["size_bytes"],
                manifest=manifest,
                signature=base64.b64encode(signature).decode(),
                ctime=now,
            )
        )
        audit.record(connection, None, "release.publish", version, None, None, now)
        return connection.execute(
            select(agent_releases).where(agent_releases.c.version == version)
        ).one()

    return world.database.write(work)


def _facts(manifest: str, file: Path) -> dict[str, Any]:
    try:
        facts = json.loads(manifest)
        version, protocol = str(facts["version"]), int(facts["protocol"])
        told = str(facts["sha256"]), int(facts["size_bytes"])
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid.one("manifest", f"This is not a release's manifest: {error}.") from error
    if not _VERSION.fullmatch(version):
        raise Invalid.one("version", f"{version!r} is not a version: letters, digits, dot and -.")
    if protocol != wire.PROTOCOL:
        raise Invalid.one("protocol", _other_protocol(version, protocol))
    if (_sha256(file), file.stat().st_size) != told:
        raise Invalid.one("sha256", f"{file.name} is not the file that its manifest describes.")
    return {"version": version, "protocol": protocol, "sha256": told[0], "size_bytes": told[1]}


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _other_protocol(version: str, protocol: int) -> str:
    return (
        f"Release {version} speaks protocol {protocol}, this control service {wire.PROTOCOL}: "
        "build and publish the agent's release of this control service."
    )


def set_channel(world: World, channel: str, version: str, now: datetime) -> None:
    """Let a channel point to a release; its agents change to it between executions."""
    if not _CHANNEL.fullmatch(channel):
        raise Invalid.one("channel", f"{channel!r} is not a channel: small letters, digits and -.")
    row = _find(world, version)
    if row is None:
        raise NotFound(f"There is no release {version}: `talkoot release list` shows them.")
    if row.protocol != wire.PROTOCOL:
        raise Conflict(_other_protocol(version, row.protocol))

    def work(connection: Connection) -> None:
        moved = connection.execute(
            update(release_channels)
            .where(release_channels.c.name == channel)
            .values(version=version, mtime=now)
        )
        if moved.rowcount == 0:
            connection.execute(
                insert(release_channels).values(name=channel, version=version, mtime=now)
            )
        audit.record(connection, None, "release.channel", channel, None, {"version": version}, now)

    world.database.write(work)


def list_all(world: World) -> Sequence[ReleaseView]:
    """List the releases, newest first."""
    with world.database.read() as connection:
        rows = connection.execute(
            select(agent_releases).order_by(agent_releases.c.ctime.desc())
        ).all()
        channels = connection.execute(select(release_channels)).all()
    return [
        ReleaseView(row, tuple(sorted(one.name for one in channels if one.version == row.version)))
        for row in rows
    ]


def offer(world: World, *, channel: str = "", version: str = "") -> wire.ReleaseOffer:
    """Answer a release with an address that expires. Raises NotFound, or Conflict (BIN-1)."""
    if bool(channel) == bool(version):
        raise Invalid.one("channel", "Name either a channel or a version.")
    with world.database.read() as connection:
        wanted = version or wanted_version(connection, channel, "")
    row = _find(world, wanted) if wanted else None
    if row is None:
        name = f"no release {version}" if version else f"no release in the channel {channel}"
        raise NotFound(f"There is {name}: see `talkoot release list`.")
    if row.protocol != wire.PROTOCOL:
        raise Conflict(_other_protocol(row.version, row.protocol))
    url = world.release_store.get_url(row.key, ttl_s=URL_LIFE_S)
    return wire.ReleaseOffer(row.version, row.protocol, row.manifest, row.signature, url)


def wanted_version(connection: Connection, channel: str, pinned: str) -> str:
    """Say which release a group's agents are to run: the pinned one, else the channel's; or ""."""
    if pinned:
        return pinned
    found = connection.execute(
        select(release_channels.c.version).where(release_channels.c.name == channel)
    ).scalar()
    return found or ""


def _find(world: World, version: str) -> AnyRow | None:
    with world.database.read() as connection:
        return connection.execute(
            select(agent_releases).where(agent_releases.c.version == version)
        ).first()
