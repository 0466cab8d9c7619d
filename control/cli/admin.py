"""`talkoot admin`: what an operator does on the machine, beside a running server."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from control.cli.context import data_option, wired
from control.domain.placement import workers as count_workers
from control.services import environments, people, workers


@click.group()
def admin() -> None:
    """Add users, tokens, environments and enrolment tokens."""


@admin.group()
def user() -> None:
    """People."""


@user.command("add")
@click.argument("name")
@click.option("--admin", "is_admin", is_flag=True, help="May do everything.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@data_option
def user_add(name: str, is_admin: bool, password_stdin: bool, data_dir: str | None) -> None:
    """Add a user; without --password-stdin only tokens let them in."""
    password = _password() if password_stdin else None
    with wired(data_dir) as wiring:
        people.add_user(wiring.world, name, password, is_admin, datetime.now(UTC))
    click.echo(f"Added {'administrator' if is_admin else 'user'} {name}.")


@user.command("password")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, required=True, help="Read it from standard input.")
@data_option
def user_password(name: str, password_stdin: bool, data_dir: str | None) -> None:
    """Replace a user's password."""
    password = _password()
    with wired(data_dir) as wiring:
        people.set_password(wiring.world, name, password, datetime.now(UTC))
    click.echo(f"The password of {name} is changed.")


def _password() -> str:
    password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise click.UsageError("No password came on standard input.")
    return password


@admin.group()
def token() -> None:
    """API tokens."""


@token.command("add")
@click.argument("name")
@click.option("--label", default="made by an operator", show_default=True, help="What it is for.")
@data_option
def token_add(name: str, label: str, data_dir: str | None) -> None:
    """Make an API token of user NAME and print it, once."""
    with wired(data_dir) as wiring:
        click.echo(people.add_token(wiring.world, name, label, datetime.now(UTC)))


@admin.group()
def environment() -> None:
    """What users pick to run on."""


@environment.command("add")
@click.argument("name")
@click.option("--label", default="", help="The name people see (default: NAME).")
@click.option("--description", default="", help="What it is good for.")
@click.option("--gpu", "gpu_spec", default="", help="Its accelerator, in words.")
@click.option("--price", default=0.0, help="US dollars an hour.")
@click.option("--quota", default=0, help="Executions one user may have there at once; 0: any.")
@click.option("--lease", "lease_s", default=600, show_default=True, help="Seconds of silence.")
@click.option("--network", default="bridge", show_default=True, help="Containers' network mode.")
@click.option("--default", "is_default", is_flag=True, help="Used where nobody chooses.")
@data_option
def environment_add(
    data_dir: str | None, name: str, label: str, price: float, quota: int, **rest: object
) -> None:
    """Add an environment; NAME is what users pass to `vh exec run -e`."""
    new = environments.NewEnvironment(
        slug=name,
        name=label,
        per_hour_price_usd=price,
        per_user_queue_quota=quota,
        **rest,  # pyright: ignore[reportArgumentType]
    )
    with wired(data_dir) as wiring:
        environments.add(wiring.world, None, new, datetime.now(UTC))
    click.echo(f"Added environment {name}. `talkoot admin enrol {name}` lets a machine join it.")


@environment.command("list")
@data_option
def environment_list(data_dir: str | None) -> None:
    """List the environments and their workers."""
    now = datetime.now(UTC)
    with wired(data_dir) as wiring:
        for row in environments.list_all(wiring.world):
            live = [
                one for one in workers.list_for(wiring.world, row.id, now) if one.status != "left"
            ]
            click.echo(f"{row.slug}\t{row.name}\t{count_workers(len(live))}")


@admin.command()
@click.argument("environment")
@data_option
def enrol(environment: str, data_dir: str | None) -> None:
    """Print a token with which one agent can join ENVIRONMENT within 24 hours."""
    with wired(data_dir) as wiring:
        click.echo(workers.make_enrolment_token(wiring.world, environment, datetime.now(UTC)))
