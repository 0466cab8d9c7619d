"""`talkoot group` and `talkoot plan`: worker groups, and what would be decided on one now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from control.cli import branches
from control.cli.context import data_option, wired
from control.domain import worker_groups as rules
from control.domain.errors import Invalid, NotFound
from control.domain.scaling.plan import plan
from control.domain.worker_groups import NewGroup
from control.services import group_views, scaling, worker_groups
from control.services.worker_groups import GroupView
from control.services.world import World

_Command = Callable[..., Any]


def _options(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _option(*names: str, kind: Any = str, default: Any = None, text: str) -> Any:
    show = default not in (None, "")
    return click.option(*names, type=kind, default=default, show_default=show, help=text)


_size = _options(
    _option("--min", "minimum", kind=int, text="Machines kept whatever waits."),
    _option("--max", "maximum", kind=int, text="Machines at most."),
    _option("--spare", kind=int, text="Idle machines kept warm."),
    _option("--idle", "idle_ttl_s", kind=int, text="Seconds without work before one leaves."),
    _option("--boot-grace", "boot_grace_s", kind=int, text="Seconds a machine has to join."),
    _option("--burst", kind=int, text="Machines started at once before one has come up."),
    _option("--price", "price_per_hour_usd", kind=float, text="US dollars an hour of a machine."),
    _option("--hourly-budget", "hourly_budget_usd", kind=float, text="US dollars an hour."),
    _option("--monthly-budget", "monthly_budget_usd", kind=float, text="US dollars a month."),
    _option("--channel", text="Channel of agent releases (stable)."),
)
_target = _options(
    _option("--write", "file", text="Write the stack's config to FILE, or to the screen with -."),
    _option("--branch", text="Push it as this new branch of TALKOOT_INFRA_REPO."),
)


@click.group()
def group() -> None:
    """Add, show and change worker groups: machines that come and go with the queue.

    A group is one instance type in one region and market. It has a stack of its own, whose config
    (Pulumi.<stack>.yaml) lies in the infrastructure repository: Git holds the bounds, the service
    the number of machines.
    """


@group.command("add")
@click.argument("name")
@_option("--base", "base_stack", text="Base stack, such as prod-aws-eu-west-1-base.  [required]")
@_option("--type", "instance_type", text="Instance type, such as g5.xlarge.  [required]")
@_option("--image", text="Id of the machine image.  [required]")
@_option("--cloud", default="", text="Checked against the base stack.")
@_option("--region", default="", text="Checked against the base stack.")
@click.option("--market", "markets", multiple=True, help="spot or on-demand; several: in order.")
@_option("--environment", default="", text="What users pick; made if it is not there (NAME).")
@_option("--slots", kind=int, text="Executions at a time on one machine.")
@_option("--disk", "disk_gb", kind=int, text="Gigabytes of its disk.")
@_option("--disk-device", text="The image's root device (/dev/xvda; Ubuntu: /dev/sda1).")
@_option("--max-price", "max_price_usd", kind=float, text="Spot: US dollars an hour at most.")
@_option("--agent-version", text="Pin one release of the agent.")
@_option("--control-url", text="Where agents join, https://HOST (TALKOOT_PUBLIC_URL).")
@_option("--ca-fingerprint", text="SHA-256 of the CA that signed HOST's certificate.")
@_option("--owner", text="Whose it is: a tag on every resource.")
@_size
@_target
@click.option("--apply", "is_applied", is_flag=True, help="Register it: it is made when needed.")
@data_option
def add(
    data_dir: str | None,
    is_applied: bool,
    file: str | None,
    branch: str | None,
    markets: tuple[str, ...],
    **given: Any,
) -> None:
    """Add worker group NAME: write its stack's config for review, or apply it at once.

    For example: talkoot group add gpu --base prod-aws-eu-west-1-base --type g5.xlarge
    --image ami-0abc --market spot --market on-demand --max 8 --price 1.2 --write -
    """
    for name in ("base_stack", "instance_type", "image"):
        given[name] = given[name] or ""
    chosen = {name: value for name, value in given.items() if value is not None}
    new = NewGroup(**chosen, markets=markets or ("on-demand",))
    if not (file or branch or is_applied):
        raise click.UsageError("Say what to do: --write FILE|-, --branch BRANCH or --apply.")
    _checked(new)
    with wired(data_dir) as wiring:
        address = new.control_url or wiring.settings.public_url or ""
        new = replace(new, control_url=address)
        keyed = worker_groups.with_our_key(wiring.world, new, datetime.now(UTC))
        whole = _checked(keyed, wiring.world)
    texts = {
        one.stack: rules.render_config(whole.cloud, whole.region, one.inputs)
        for one in rules.offerings_of(whole)
    }
    _hand_over(texts, file, branch, f"Add worker group {whole.name}", data_dir)
    if is_applied:
        with wired(data_dir) as wiring:
            rows = worker_groups.add(wiring.world, None, new, datetime.now(UTC))
        for row in rows:
            bounds = f"{row.min} to {row.max} machines"
            click.echo(f"Added group {row.name}: stack {row.stack}, {bounds}.", err=file == "-")


def _checked(new: NewGroup, world: World | None = None) -> NewGroup:
    try:
        whole = worker_groups.checked(new)
        return whole if world is None else worker_groups.offered(world, whole)
    except Invalid as invalid:
        lines = "\n".join(f"  {error.field}: {error.message}" for error in invalid.errors)
        raise click.UsageError(f"This is not a worker group:\n{lines}") from invalid


def _hand_over(
    texts: dict[str, str], file: str | None, branch: str | None, message: str, data_dir: str | None
) -> None:
    """Write config to a file or a folder, to the screen, and to a branch."""
    if file == "-":
        for stack, text in texts.items():
            click.echo(f"# Pulumi.{stack}.yaml\n{text}", nl=False)
    elif file:
        for stack, text in texts.items():
            path = Path(file)
            if path.is_dir() or len(texts) > 1:
                path = path / f"Pulumi.{stack}.yaml"
            path.write_text(text, encoding="utf-8")
            click.echo(f"Wrote {path}. Review it, commit it, then `--apply`.")
    if branch:
        commit = branches.commit_config(texts, branch, message, data_dir)
        click.echo(f"Pushed {commit} as branch {branch}: review and merge it.", err=file == "-")


@group.command("list")
@data_option
def list_groups(data_dir: str | None) -> None:
    """List the groups: name, environment, machines, bounds, and what was decided last."""
    with wired(data_dir) as wiring:
        views = worker_groups.list_all(wiring.world)
    for view in views:
        click.echo("\t".join(_summary(view)))
    if not views:
        click.echo(
            "No worker groups yet: `talkoot group add --help` says how to add one.", err=True
        )


def _summary(view: GroupView) -> tuple[str, ...]:
    row = view.row
    live = sum(one.end_sent_at is None for one in view.machines)
    return (
        row.name,
        view.environment.slug,
        f"{row.instance_type} {row.market}",
        f"{live} of {row.min} to {row.max}, {row.wanted} wanted",
        "" if row.is_enabled else "switched off",
        view.decision.reason if view.decision else "nothing decided yet",
    )


@group.command("show")
@click.argument("name")
@data_option
def show(name: str, data_dir: str | None) -> None:
    """Show group NAME: what it is, its machines, the last decision and its reason."""
    with wired(data_dir) as wiring:
        view = worker_groups.find(wiring.world, None, name)
        trouble = group_views.trouble(wiring.world, view.row, datetime.now(UTC))
    row = view.row
    seen = f"{row.seen_count} machines at {row.seen_at:%H:%M:%S} UTC" if row.seen_at else "not yet"
    for label, value in (
        ("group", row.name),
        ("environment", view.environment.slug),
        ("stack", row.stack),
        ("machines", f"{row.instance_type}, {row.market}, {row.slots} at a time on each"),
        ("bounds", f"{row.min} to {row.max}, {row.spare} spare"),
        ("wanted", f"{row.wanted}, {row.applied} carried out"),
        ("state", "on" if row.is_enabled else "switched off"),
        ("held by", row.paused_by or "nobody"),
        ("decided", view.decision.reason if view.decision else "nothing yet"),
        ("waits", row.hold or "for nothing"),
        ("cloud read", row.cloud_error or seen),
    ):
        click.echo(f"{label:<12} {value}")
    for one in view.machines:
        click.echo(f"  {one.instance_id}\t{one.state}\t{one.zone}\t{one.reason} {one.end_error}")
    for sentence in trouble:
        click.echo(sentence)


@group.command("set")
@click.argument("name")
@_size
@_target
@data_option
def set_(
    name: str, file: str | None, branch: str | None, data_dir: str | None, **given: Any
) -> None:
    """Change bounds, budgets or channel of group NAME.

    Bounds and channel are in Git too: --write or --branch puts them there.
    """
    changes = {field: value for field, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("Say what to change: --max 8, --spare 1, …")
    faults = rules.number_faults({key: changes[key] for key in changes if key != "channel"})
    if faults:
        raise click.UsageError("; ".join(f"{one.field}: {one.message}" for one in faults))
    with wired(data_dir) as wiring:
        row = worker_groups.change(wiring.world, None, name, changes, datetime.now(UTC))
    texts = {row.stack: rules.render_config(row.cloud, row.region, row.inputs)}
    click.echo(f"Changed worker group {row.name}: {row.min} to {row.max}.", err=file == "-")
    _hand_over(texts, file, branch, f"Change worker group {row.name}", data_dir)


@group.command("enable")
@click.argument("name")
@data_option
def enable(name: str, data_dir: str | None) -> None:
    """Switch group NAME on: it follows the queue."""
    with wired(data_dir) as wiring:
        worker_groups.set_enabled(wiring.world, None, name, True, datetime.now(UTC))
    click.echo(f"Worker group {name} follows the queue.")


@group.command("disable")
@click.argument("name")
@data_option
def disable(name: str, data_dir: str | None) -> None:
    """Switch group NAME off: it starts nothing, and machines leave once they are idle."""
    with wired(data_dir) as wiring:
        worker_groups.set_enabled(wiring.world, None, name, False, datetime.now(UTC))
    click.echo(f"Worker group {name} is switched off; its machines leave once they are idle.")


@click.command("plan")
@click.argument("name", metavar="GROUP")
@data_option
def plan_command(name: str, data_dir: str | None) -> None:
    """Print what would be decided on GROUP now, and why; changes nothing."""
    now = datetime.now(UTC)
    with wired(data_dir) as wiring:
        seen = scaling.observe(wiring.world, now, name=name)
    if name not in seen.rows:
        raise NotFound(f"No worker group {name!r}: `talkoot group list` names them.")
    decided = {one.group: one for one in plan(seen.groups, seen.demands, now).groups}[name]
    row = seen.rows[name]
    waiting = sum(one.count for one in seen.demands if one.environment == row.environment_id)
    live, busy = scaling.counts_of(next(g for g in seen.groups if g.policy.name == name))
    for label, value in (
        ("waiting", str(waiting)),
        ("machines", f"{live} live, {busy} busy"),
        ("wanted", f"{decided.wanted} (recorded: {row.wanted})"),
        ("launch", str(decided.launch)),
        ("drain", ", ".join(decided.drain) or "none"),
        ("take back", ", ".join(decided.undrain) or "none"),
        ("held by", decided.blocked_by or "nothing"),
        ("because", decided.reason),
    ):
        click.echo(f"{label:<10} {value}")
