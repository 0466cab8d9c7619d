"""The command `talkoot`."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "admin": "control.cli.admin:admin",
    "agent": "control.cli.processes:agent",
    "doctor": "control.cli.doctor:doctor",
    "group": "control.cli.groups:group",
    "infra": "control.cli.infra:infra",
    "loops": "control.cli.processes:loops",
    "migrate": "control.cli.processes:migrate_command",
    "one-port": "control.cli.one_port:one_port",
    "plan": "control.cli.groups:plan_command",
    "release": "control.cli.release:release",
    "serve": "control.cli.serve:serve",
    "simulate": "control.cli.simulate:simulate",
    "streams": "control.cli.processes:streams",
    "web": "control.cli.processes:web",
}
"""Command to where it is written: only the one that is asked for is imported."""


class Commands(click.Group):
    """The commands, each imported when it is asked for: imports are most of a short command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them all, by name."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one."""
        module, _, name = COMMANDS.get(cmd_name, "").partition(":")
        return getattr(importlib.import_module(module), name) if module else None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="talkoot", prog_name="talkoot")
def main() -> None:
    """Talkoot: a self-hosted control plane for machine-learning work.

    On one machine `talkoot serve` is all you need; the other processes are for larger
    installations. Settings come from the environment and `.env`: see docs/settings.md.
    """
