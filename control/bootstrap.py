"""Settings to world: chooses the plug-ins, by the scheme of each URL. Nothing else imports them."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from control.database.session import Database
from control.domain.cloud_ports import Cloud, StackEngine
from control.domain.errors import PermanentError
from control.domain.identities import IdentityCheck
from control.domain.ports import Queue, Store
from control.plugins.queues.server import ServerProcess, start_server
from control.plugins.stores.local import LocalStore
from control.services.sealing import SecretBox
from control.services.world import World
from control.settings import Settings, SettingsError

SCHEMES = {
    "redis": "redis",
    "rediss": "redis",
    "unix": "redis",
    "valkey": "redis",
    "memory": "memory",
    "file": "file",
    "s3": "s3",
}
"""URL scheme to the name of the plug-in; another scheme names its plug-in itself."""


class UnknownPlugin(SettingsError):
    """No plug-in of this kind and name is installed."""


def load(kind: str, name: str) -> Any:
    """Load a plug-in's class by its entry point; an import error inside it is its own."""
    found = entry_points(group=f"talkoot.{kind}")
    for entry in found:
        if entry.name == name:
            return entry.load()
    known = ", ".join(sorted(entry.name for entry in found))
    raise UnknownPlugin(f"No plug-in '{name}' of kind '{kind}' is installed; there are: {known}.")


@dataclass(frozen=True, slots=True)
class Wiring:
    """The world, and what only processes need: the local store's bytes, the queue's async twin."""

    settings: Settings
    world: World
    local_store: LocalStore | None

    def async_queue(self) -> Any:
        """Make the queue's twin for an event loop."""
        return self.world.queue.as_async()  # pyright: ignore[reportAttributeAccessIssue]

    def close(self) -> None:
        """Drop every connection."""
        self.world.database.close()


def build(settings: Settings) -> Wiring:
    """Wire everything; makes no network call. Raises SettingsError."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = read_key(settings)
    options = {
        "data_dir": str(settings.data_dir),
        "signing_key": sha256(b"talkoot store addresses" + key).hexdigest(),
        "allow_local": "true" if settings.allow_local_git else "false",
    }
    stores: dict[str, Store] = {}
    for url in (
        settings.store_url,
        settings.code_store_url,
        settings.log_store_url,
        settings.release_store_url,
    ):
        if url not in stores:
            stores[url] = _plugin("stores", url).from_url(url, options=options)
    local = [store for store in stores.values() if isinstance(store, LocalStore)]
    if len(local) > 1:
        raise SettingsError("STORE_URL and its three relatives may name one folder only.")
    queue: Queue = _plugin("queues", settings.queue_url).from_url(
        settings.queue_url, options=options
    )
    world = World(
        database=Database(settings.database_url),
        queue=queue,
        store=stores[settings.store_url],
        code_store=stores[settings.code_store_url],
        log_store=stores[settings.log_store_url],
        release_store=stores[settings.release_store_url],
        git=load("git", "program").from_url("", options=options),
        box=SecretBox(key),
        clouds=cache(lambda name: make_cloud(settings, name)),
        identities=_identities(settings),
    )
    return Wiring(settings, world, local[0] if local else None)


def make_engine(settings: Settings) -> StackEngine:
    """Make what runs stacks; makes no call."""
    options = {
        "data_dir": str(settings.data_dir),
        "repository": settings.infra_repo,
        "commit": settings.infra_commit,
    }
    return load("engines", settings.infra_engine).from_url("", options=options)


def make_cloud(settings: Settings, name: str) -> Cloud:
    """Make a cloud's adapter, its library included. Raises PermanentError, with what to do."""
    if not settings.installation:
        raise PermanentError(
            "Set TALKOOT_INSTALLATION to the name that the stacks' config has as "
            "`talkoot:installation`: by this tag Talkoot knows its own machines."
        )
    options = {"installation": settings.installation}
    return load("clouds", name).from_url(f"{name}:", options=options)


def _identities(settings: Settings) -> dict[str, IdentityCheck]:
    folder = settings.aws_identity_certificates
    if folder is None:
        return {}
    # Here, so that an installation without AWS starts without it.
    from control.plugins.clouds.aws_identity import AwsIdentity

    return {"aws": AwsIdentity.from_folder(folder, accounts=settings.aws_accounts)}


def _plugin(kind: str, url: str) -> Any:
    scheme = url.partition(":")[0]
    return load(kind, SCHEMES.get(scheme, scheme))


def read_key(settings: Settings, environ: Mapping[str, str] | None = None) -> bytes:
    """Read the installation's 32-byte key; make the key file on the first start."""
    text = settings.key
    if text is None:
        if not settings.key_file.exists():
            _make_key(settings)
        text = settings.key_file.read_text().strip()
    for decode in (bytes.fromhex, base64.urlsafe_b64decode):
        try:
            key = decode(text)
        except (ValueError, binascii.Error):
            continue
        if len(key) == 32:
            return key
    raise SettingsError(
        "The key (TALKOOT_KEY or the key file) must be 32 bytes as hex or base64; "
        "`openssl rand -hex 32` makes one."
    )


def _make_key(settings: Settings) -> None:
    settings.key_file.parent.mkdir(parents=True, exist_ok=True)
    part = settings.key_file.with_suffix(f".{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(os.urandom(32).hex() + "\n")
    try:
        os.link(part, settings.key_file)  # whoever is second uses the first one's key
    except FileExistsError:
        pass
    finally:
        part.unlink()


def start_private_queue(settings: Settings) -> ServerProcess | None:
    """Start the queue server of one machine as our child; None when another one is set."""
    if not settings.queue_is_private:
        return None
    socket = Path(unquote(urlsplit(settings.queue_url).path))
    return start_server(settings.data_dir / "queue", socket_path=socket)
