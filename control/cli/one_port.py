"""`talkoot serve`'s web process: prepares the installation, then serves all on one port."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from control.app import create_app
from control.bootstrap import Wiring
from control.cli.context import data_option, host_option, port_option, wired
from control.cli.processes import run_asgi
from control.cli.serve import agent_state
from control.database import migrate
from control.services import environments, workers
from control.streams.app import create_streams

LOCAL_LEASE_S = 60
"""The local environment's lease: architecture.md part 4, liveness."""


@click.command("one-port", hidden=True)
@host_option
@port_option
@data_option
def one_port(host: str, port: int, data_dir: str | None) -> None:
    """Serve web and streams on one port, for `serve`."""
    with wired(data_dir, migrated=False) as wiring:
        _prepare(wiring)
        application = create_streams(
            wiring.world, wiring.async_queue(), wiring.local_store, create_app(wiring)
        )
        run_asgi(application, host, port)


def _prepare(wiring: Wiring) -> None:
    """Migrate, make the local environment, and let the local agent join it."""
    now = datetime.now(UTC)
    migrate.upgrade(wiring.world.database)
    if not environments.list_all(wiring.world):
        new = environments.NewEnvironment(
            slug="local",
            name="This machine",
            description="The machine that Talkoot runs on.",
            lease_s=LOCAL_LEASE_S,
            is_default=True,
        )
        environments.add(wiring.world, None, new, now)
    _enrol(wiring, now)


def _enrol(wiring: Wiring, now: datetime) -> None:
    """Leave a fresh enrolment token for the local agent: it joins when it has no identity."""
    state = agent_state(wiring.settings)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    local = next(
        (row for row in environments.list_all(wiring.world) if row.slug == "local"),
        environments.list_all(wiring.world)[0],
    )
    file = state / "enrolment-token"
    file.touch(mode=0o600)
    file.write_text(workers.make_enrolment_token(wiring.world, local.slug, now))
