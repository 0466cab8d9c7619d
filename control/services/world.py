"""What a service may touch, handed to it as its first argument; `bootstrap` builds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from control.database.session import Database
from control.domain.cloud_ports import Clouds, no_clouds
from control.domain.identities import IdentityCheck
from control.domain.ports import Git, Queue, Store
from control.services.sealing import SecretBox


@dataclass(frozen=True, slots=True)
class World:
    """The database, the ports and the key."""

    database: Database
    queue: Queue
    store: Store  # datums
    code_store: Store
    log_store: Store
    release_store: Store
    git: Git
    box: SecretBox
    clouds: Clouds = no_clouds

    identities: Mapping[str, IdentityCheck] = field(default_factory=dict)  # by cloud
