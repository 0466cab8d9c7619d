"""`talkoot release`: builds, signs and publishes the agent's release for machines in clouds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from control.cli.context import data_option, wired
from control.services import releases


@click.group()
def release() -> None:
    """Build and publish the agent that machines in clouds fetch when they boot."""


@release.command()
@click.option(
    "--out",
    default="dist",
    show_default=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the file and its manifest go.",
)
@click.option("--version", "version", default="", help="Its version (default: the sources').")
@click.option(
    "--wheels",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Take the packages from this folder, without a network.",
)
@data_option
def build(out: Path, version: str, wheels: Path | None, data_dir: str | None) -> None:
    """Build a release and print the path of its manifest."""
    from control.cli import release_build

    built = release_build.build(out, version or release_build.source_version(), wheels)
    click.echo(built.manifest)


@release.command()
@click.argument("manifest", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--channel", default="", help="Let this channel point to it, too.")
@data_option
def publish(manifest: Path, channel: str, data_dir: str | None) -> None:
    """Sign the release of MANIFEST (printed by `build`) and put it into the release store."""
    now = datetime.now(UTC)
    with wired(data_dir) as wiring:
        row = releases.publish(
            wiring.world,
            manifest.read_text(encoding="utf-8"),
            manifest.with_suffix("").with_name(f"{manifest.stem}.tar.gz"),
            now,
        )
        if channel:
            releases.set_channel(wiring.world, channel, row.version, now)
    click.echo(f"Release {row.version} is published.")


@release.group()
def channel() -> None:
    """Names such as `stable` that point to a release."""


@channel.command("set")
@click.argument("name")
@click.argument("version")
@data_option
def channel_set(name: str, version: str, data_dir: str | None) -> None:
    """Let the channel NAME point to the release VERSION."""
    with wired(data_dir) as wiring:
        releases.set_channel(wiring.world, name, version, datetime.now(UTC))
    click.echo(f"The channel {name} points to {version}.")


@release.command("list")
@data_option
def list_command(data_dir: str | None) -> None:
    """List the releases, newest first, and which channels point to them."""
    with wired(data_dir) as wiring:
        for one in releases.list_all(wiring.world):
            row = one.row
            size = f"{row.size_bytes / 1e6:.1f} MB"
            names = ", ".join(one.channels) or "-"
            click.echo(f"{row.version}\tprotocol {row.protocol}\t{size}\t{names}\t{row.sha256}")


@release.command()
@data_option
def key(data_dir: str | None) -> None:
    """Print the public key that machines check releases with; the stacks' config takes it."""
    with wired(data_dir) as wiring:
        click.echo(releases.public_key(wiring.world, datetime.now(UTC)))
