"""`talkoot serve`: everything one machine needs, in one terminal."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TextIO

import click

from control.cli.children import Child, Family
from control.cli.context import data_option, host_option, port_option
from control.settings import Settings, read_settings


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
    settings = read_settings(data_dir=data_dir)
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
        family = Family(_children(settings, host, port, chosen), watch=queue.revive)
        url = f"http://{_shown(host)}:{port}"
        family.run(
            meanwhile=queue.start,
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
        self._server: Any = None

    def start(self) -> None:
        """Start it."""
        # Imported here: the web process, which is the slowest to start, is on its way by now.
        from control.bootstrap import start_private_queue

        self._server = start_private_queue(self._settings)

    def revive(self) -> None:
        """Start it again when it has died: the loops put back what it held."""
        if self._server is not None and not self._server.is_running():
            click.echo("The queue server ended; starting it again.", err=True)
            self.start()

    def stop(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.stop()


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
    """Name an address that this machine's people reach, where all of its addresses are served."""
    try:
        return "127.0.0.1" if ip_address(host).is_unspecified else host
    except ValueError:  # a name
        return host


def _runtime(wanted: str, image: str | None) -> tuple[str, str]:
    """Choose the runtime and say why."""
    if wanted == "process":
        return wanted, "as asked"
    import docker
    from docker.errors import APIError, DockerException, ImageNotFound

    try:
        client = docker.from_env(timeout=5)
        client.ping()
    except (DockerException, OSError):
        if wanted == "docker":
            raise click.ClickException(
                "No container engine answers: start Docker, "
                "or run steps without isolation by --runtime process."
            ) from None
        return "process", "no container engine answers"
    if wanted == "docker":
        return wanted, "as asked"
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


def agent_state(settings: Settings) -> Path:
    """Where the local agent keeps what it knows, and finds its enrolment token."""
    return settings.data_dir / "agent"


def _children(settings: Settings, host: str, port: int, runtime: str) -> list[Child]:
    """The processes, in the order they start; they stop in the reverse order."""
    # -P: a folder named `agent` or `control` here must not stand in for the program.
    talkoot = [sys.executable, "-P", "-m", "control.cli"]
    data = ["--data", str(settings.data_dir)]
    state = agent_state(settings)
    agent = [
        sys.executable, "-P", "-m", "agent",
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
