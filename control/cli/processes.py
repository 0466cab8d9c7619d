"""The processes of a larger installation, each a command: web, streams, loops, agent, migrate."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from typing import Any

import click
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server as Granian
from granian.server.embed import Server as EmbeddedServer

from control.cli.context import data_option, host_option, port_option, wired
from control.cli.targets import wsgi
from control.database import migrate
from control.loops import runner
from control.streams.app import create_streams

WEB_WORKERS = 2
"""Unless said: one interpreter uses one processor, and each worker holds up to 31 connections to
PostgreSQL, whose own default is 100 for everybody."""
WEB_THREADS = 64
"""Flask's threads a worker. They wait for a shared commit most of the time: on 64 connections
8 threads took 296 submissions a second, 16 took 570, 64 took 923 (docs/benchmarks.md)."""


@click.command()
@host_option
@port_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes; two where there are two processors, but one on SQLite, which allows no more.",
)
@click.option(
    "--threads", default=WEB_THREADS, show_default=True, help="Requests a worker does at once."
)
@data_option
def web(host: str, port: int, workers: int | None, threads: int, data_dir: str | None) -> None:
    """Serve the API and the web pages (everything that does not wait)."""
    with wired(data_dir) as wiring:
        is_sqlite = wiring.world.database.is_sqlite
        if is_sqlite and (workers or 1) > 1:
            raise click.UsageError("SQLite allows one web worker: use PostgreSQL for more.")
        workers = workers or (1 if is_sqlite else min(WEB_WORKERS, os.cpu_count() or 1))
        os.environ["TALKOOT_DATA"] = str(wiring.settings.data_dir)
    Granian(
        f"{wsgi.__module__}:{wsgi.__name__}",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads,
        factory=True,
        log_level=LogLevels.warning,
    ).serve()


@click.command()
@host_option
@port_option
@data_option
def streams(host: str, port: int, data_dir: str | None) -> None:
    """Serve what waits: agents' claims, log pages, status events, the local store's bytes."""
    with wired(data_dir) as wiring:
        application = create_streams(wiring.world, wiring.async_queue(), wiring.local_store)
        run_asgi(application, host, port)


@click.command()
@data_option
def loops(data_dir: str | None) -> None:
    """Run the deciding loops: reap, heal, store logs."""
    with wired(data_dir) as wiring:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        runner.run(wiring.world, stop)


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def agent(arguments: tuple[str, ...]) -> None:
    """Take executions from a control service and run them here (`--help` says how)."""
    # -P: a folder named `agent` in the working directory must not stand in for the program.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "agent", *arguments])


@click.command("migrate")
@data_option
def migrate_command(data_dir: str | None) -> None:
    """Bring the database to this release's revision."""
    with wired(data_dir, migrated=False) as wiring:
        before, after = migrate.upgrade(wiring.world.database)
    if before == after:
        click.echo(f"The database is at revision {after} already.")
    else:
        click.echo(f"Migrated the database from {before or 'nothing'} to {after}.")


def run_asgi(application: Any, host: str, port: int) -> None:
    """Serve an ASGI application in this process until SIGTERM or SIGINT."""

    async def run() -> None:
        server = EmbeddedServer(
            application,
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            log_enabled=False,
            websockets=False,
            backlog=1024,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.stop)
        await server.serve()

    asyncio.run(run())
