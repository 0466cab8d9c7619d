"""`talkoot serve`: everything one machine needs, in one terminal."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click
import docker
from docker.errors import APIError, DockerException, ImageNotFound

from control.app import create_app
from control.bootstrap import Wiring, build, start_private_queue
from control.cli.children import Child, Family
from control.cli.context import data_option, settings_of, wired
from control.cli.processes import host_option, port_option, run_asgi
from control.database import migrate
from control.services import environments, workers
from control.settings import Settings
from control.streams.app import create_streams

LOCAL_LEASE_S = 60
"""The local environment's lease: architecture.md part 4, liveness."""


@click.command()
@host_option
@port_option
@click.option(
    "--runtime",
    type=click.Choice(["auto", "docker", "process"]),
    default="auto",
    show_default=True,
    help="How the local agent runs steps: in containers, or as plain processes without isolation.",
)
@click.option(
    "--probe-image",
    metavar="IMAGE",
    help="With --runtime auto: choose Docker only if it has this image or can pull it.",
)
@data_option
def serve(
    host: str, port: int, runtime: str, probe_image: str | None, data_dir: str | None
) -> None:
    """Run Talkoot on this machine: web, loops, queue server and one agent.

    Ctrl-C lets a running execution end and stops all; a second Ctrl-C stops at once.
    """
    settings = settings_of(data_dir)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _held(settings)
    _check_port(host, port)
    chosen, why = _runtime(runtime, probe_image)
    click.echo(f"Runtime: {chosen} ({why})", err=True)
    if chosen == "process":
        click.secho(
            "WARNING: steps run as plain processes of this user: no isolation from this machine.",
            fg="yellow",
            bold=True,
            err=True,
        )
    queue = PrivateQueue(settings)
    try:
        _prepare(settings)
        family = Family(_children(settings, host, port, chosen), watch=queue.revive)
        url = f"http://{_shown(host)}:{port}"
        family.run(
            ready_url=f"{url}/api/v0/server/",
            on_ready=lambda: click.echo(f"Talkoot is ready at {url}", err=True),
        )
    finally:
        queue.stop()
        lock.close()


class PrivateQueue:
    """The queue server of this machine, started again when it dies; nothing with QUEUE_URL."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server = start_private_queue(settings)

    def revive(self) -> None:
        """Start it again when it has died: the loops put back what it held."""
        if self._server is not None and not self._server.is_running():
            click.echo("The queue server ended; starting it again.", err=True)
            self._server = start_private_queue(self._settings)

    def stop(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.stop()


@click.command("one-port", hidden=True)
@host_option
@port_option
@data_option
def one_port(host: str, port: int, data_dir: str | None) -> None:
    """Serve web and streams on one port, for `serve`."""
    with wired(data_dir) as wiring:
        application = create_streams(
            wiring.world, wiring.async_queue(), wiring.local_store, create_app(wiring)
        )
        run_asgi(application, host, port)


def _held(settings: Settings) -> TextIO:
    """Hold the data directory. Raises ClickException while another `serve` does."""
    file = (settings.data_dir / "serve.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise click.ClickException(
            f"Talkoot already runs on {settings.data_dir} (process {owner}): "
            "stop that one, or give this one another --data."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _check_port(host: str, port: int) -> None:
    """Make sure that the port is free. Raises ClickException."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise click.ClickException(
                f"Port {port} of {host} cannot be used ({error}): "
                "stop what uses it, or choose another with --port."
            ) from None


def _shown(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 -- compared, not bound


def _runtime(wanted: str, image: str | None) -> tuple[str, str]:
    """Choose the runtime and say why."""
    if wanted != "auto":
        return wanted, "as asked"
    try:
        client = docker.from_env(timeout=5)
        client.ping()
    except (DockerException, OSError):
        return "process", "no container engine answers"
    if image is None:
        return "docker", "a container engine answers"
    try:
        client.images.get(image)
    except ImageNotFound:
        try:
            click.echo(f"Pulling {image} …", err=True)
            client.images.pull(image)
        except (APIError, DockerException, OSError):
            return "process", f"a container engine answers, but {image} cannot be pulled"
        return "docker", f"{image} was pulled"
    return "docker", f"a container engine answers and has {image}"


def _prepare(settings: Settings) -> None:
    """Migrate, make the local environment, and let the local agent join it."""
    wiring = build(settings)
    now = datetime.now(UTC)
    try:
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
    finally:
        wiring.close()


def _agent_state(settings: Settings) -> Path:
    return settings.data_dir / "agent"


def _enrol(wiring: Wiring, now: datetime) -> None:
    """Leave a fresh enrolment token for the local agent: it joins when it has no identity."""
    state = _agent_state(wiring.settings)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    local = next(
        (row for row in environments.list_all(wiring.world) if row.slug == "local"),
        environments.list_all(wiring.world)[0],
    )
    file = state / "enrolment-token"
    file.touch(mode=0o600)
    file.write_text(workers.make_enrolment_token(wiring.world, local.slug, now))


def _children(settings: Settings, host: str, port: int, runtime: str) -> list[Child]:
    """The processes, in the order they start; they stop in the reverse order."""
    talkoot = [sys.executable, "-m", "control.cli"]
    data = ["--data", str(settings.data_dir)]
    state = _agent_state(settings)
    agent = [
        sys.executable, "-m", "agent",
        "--url", f"http://{_shown(host)}:{port}",
        "--state", str(state),
        "--runtime", runtime,
        "--enrol-token-file", str(state / "enrolment-token"),
    ]  # fmt: skip
    return [
        Child("web", [*talkoot, "one-port", "--host", host, "--port", str(port), *data]),
        Child("loops", [*talkoot, "loops", *data]),
        Child("agent", agent, waits_for_work=True),
    ]
