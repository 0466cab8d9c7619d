"""`talkoot infra`: the process that acts on infrastructure, and what people ask of it."""

from __future__ import annotations

import getpass
import os
import signal
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import wraps

import click

from control.bootstrap import Wiring, make_engine
from control.cli.context import data_option, wired
from control.domain.errors import PermanentError, TemporaryError
from control.domain.resizing import runs_at_once
from control.loops import end_drained, reconcile, recover, resize
from control.loops.acting import Acting
from control.loops.end_drained import Ender
from control.loops.reconcile import Reconciler
from control.loops.resize import Resizer
from control.services import registration, stack_leases, stack_runs, worker_groups

RECOVER_EVERY_S = 20.0
PAUSE_LOOK_EVERY_S = 0.5


def _data(command: Callable[..., None]) -> Callable[..., None]:
    """Take `--data DIR` after the command's name as well as before it."""

    @data_option
    @click.pass_obj
    @wraps(command)
    def run(before: str | None, /, *args: object, data_dir: str | None, **given: object) -> None:
        command(data_dir or before, *args, **given)

    return run


@click.group(invoke_without_command=True)
@data_option
@click.pass_context
def infra(context: click.Context, data_dir: str | None) -> None:
    """Resize worker groups and end drained machines, until SIGTERM (then runs may finish).

    A second SIGTERM or Ctrl-C interrupts the engine's runs.
    """
    context.obj = data_dir
    if context.invoked_subcommand is None:
        with wired(data_dir) as wiring:
            _serve(wiring)


def _serve(wiring: Wiring) -> None:
    engine = make_engine(wiring.settings)
    try:
        engine.pull()
    except (TemporaryError, PermanentError) as error:
        click.echo(f"{error.message} The commit of the last start is used, if any.", err=True)
    for part, found in engine.check().items():
        click.echo(f"{part}: {found}", err=True)
    engine.warm()
    acting = Acting(wiring.world, engine, time_limit_s=wiring.settings.infra_time_limit_s)
    stop = threading.Event()

    def asked(*_: object) -> None:
        (acting.must_stop if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked)
    at_once = wiring.settings.infra_parallel or runs_at_once(os.cpu_count() or 1, _memory_bytes())
    click.echo(f"Acting on infrastructure, {at_once} engine runs at once.", err=True)
    act(acting, stop, at_once)
    engine.close()


def act(acting: Acting, stop: threading.Event, at_once: int) -> None:
    """Run the acting loops until `stop` is set, then wait for what goes on."""
    recover.tick(acting)
    resizer, ender, reconciler = Resizer(acting, at_once), Ender(acting), Reconciler(acting.dice)
    rhythms: list[tuple[str, Callable[[], object], float]] = [
        ("recover", lambda: recover.tick(acting), RECOVER_EVERY_S),
        ("end_drained", ender.tick, end_drained.EVERY_S),
        ("reconcile", lambda: reconciler.tick(acting.world, acting.clock()), reconcile.EVERY_S),
    ]
    threads = [
        threading.Thread(target=acting.repeat, args=rhythm, kwargs={"stop": stop}, name=rhythm[0])
        for rhythm in rhythms
    ]
    threads.append(
        threading.Thread(
            target=acting.repeat,
            args=("resize", resizer.tick, resize.EVERY_S),
            kwargs={"stop": stop, "rest": resizer.rest},
            name="resize",
        )
    )
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    resizer.close()
    ender.close()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


# -- what people ask ------------------------------------------------------------------------------
@infra.command()
@click.argument("stack")
@click.option("--environment", default="", help="Slug of the environment (default: the group).")
@_data
def register(data_dir: str | None, stack: str, environment: str) -> None:
    """Take in what STACK made: a worker group, or stores and registries. May be repeated."""
    now = datetime.now(UTC)
    with wired(data_dir) as wiring:
        engine = make_engine(wiring.settings)
        outputs = engine.outputs(stack)
        if not outputs:
            raise click.ClickException(
                f"{stack} has no outputs: run `pulumi up --stack {stack}` first."
            )
        if "-wg-" not in stack:
            _print_settings(outputs)
            return
        row, is_new = registration.register_group(
            wiring.world,
            stack,
            outputs,
            engine.git_config(stack),
            environment=environment,
            now=now,
        )
    click.echo(
        f"{'Added' if is_new else 'Updated'} worker group {row.name}: {row.instance_type}, "
        f"{row.market}, {row.min} to {row.max} machines, in the cloud {row.resource}."
    )


def _print_settings(outputs: Mapping[str, object]) -> None:
    click.echo("# Lines for .env of the control service:")
    for line in registration.settings_of(outputs):
        click.echo(line)
    for registry in registration.registries_of(outputs):
        click.echo(f"# registry: {registry}")


@infra.command()
@_data
def status(data_dir: str | None) -> None:
    """Show each group: what is wanted, what was applied, and why it waits."""
    with wired(data_dir) as wiring:
        for view in worker_groups.list_all(wiring.world):
            row = view.row
            held = stack_leases.find(wiring.world, row.stack)
            doing = "a run goes on" if held is not None and held.run_id else "idle"
            waits = row.hold or (f"paused by {row.paused_by}" if row.paused_by else doing)
            click.echo(f"{row.stack}\twanted {row.wanted}\tapplied {row.applied}\t{waits}")


@infra.command()
@click.argument("stack", required=False)
@click.option("--limit", default=20, show_default=True, help="How many.")
@_data
def runs(data_dir: str | None, stack: str | None, limit: int) -> None:
    """List the engine's runs, newest first, of STACK or of all."""
    with wired(data_dir) as wiring:
        for run in stack_runs.list_newest(wiring.world, stack=stack, limit=limit):
            size = "" if run.size is None else f" to {run.size}"
            started = run.started_at.isoformat(timespec="seconds")
            words = f"\t{run.error}" if run.error else ""
            click.echo(f"{run.id}\t{started}\t{run.stack}\t{run.verb}{size}\t{run.status}{words}")


@infra.command()
@click.argument("run")
@_data
def stop(data_dir: str | None, run: str) -> None:
    """Interrupt the engine's RUN; it ends what it is doing and gives its lock back."""
    with wired(data_dir) as wiring:
        stack_runs.request_stop(wiring.world, run, _me())
    click.echo("The run is asked to stop.")


@infra.command()
@click.argument("stack")
@click.option("--wait", "limit_s", default=600.0, show_default=True, help="Seconds for its run.")
@_data
def pause(data_dir: str | None, stack: str, limit_s: float) -> None:
    """Keep the service off STACK, so that you can run `pulumi up` on it; then `resume` it."""
    ended = threading.Event()
    deadline = datetime.now(UTC).timestamp() + limit_s
    with wired(data_dir) as wiring:
        while not stack_leases.pause(wiring.world, stack, _me(), datetime.now(UTC)):
            if datetime.now(UTC).timestamp() > deadline:
                raise click.ClickException(
                    "Its run has not ended yet. No new one starts; ask again, or stop the run."
                )
            ended.wait(PAUSE_LOOK_EVERY_S)
    click.echo(f"{stack} is yours. `talkoot infra resume {stack}` gives it back.")


@infra.command()
@click.argument("stack")
@_data
def resume(data_dir: str | None, stack: str) -> None:
    """Give STACK back to the service after a pause."""
    with wired(data_dir) as wiring:
        paused_by = stack_leases.resume(wiring.world, stack, datetime.now(UTC))
    click.echo(f"{stack} is the service's again; {paused_by} had paused it.")


def _me() -> str:
    return getpass.getuser()
