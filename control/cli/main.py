"""The command `talkoot`."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "admin": ("control.cli.admin:admin", "Add users, tokens, environments, enrolment tokens."),
    "agent": ("control.cli.processes:agent", "Take executions and run them on this machine."),
    "doctor": ("control.cli.doctor:doctor", "Check every outside part and say what to do."),
    "group": ("control.cli.groups:group", "Add, show and change worker groups."),
    "infra": ("control.cli.infra:infra", "Resize worker groups and end drained machines."),
    "loops": (
        "control.cli.processes:loops",
        "Run the deciding loops: plan, reap, heal, store logs.",
    ),
    "migrate": ("control.cli.processes:migrate_command", "Bring the database to this release."),
    "one-port": ("control.cli.one_port:one_port", ""),
    "plan": ("control.cli.groups:plan_command", "Print today's decision on a group, and why."),
    "release": ("control.cli.release:release", "Build and publish the agent for machines."),
    "serve": ("control.cli.serve:serve", "Run all of Talkoot on this machine."),
    "simulate": ("control.cli.simulate:simulate", "Play a day of work on simulated clouds."),
    "streams": ("control.cli.processes:streams", "Serve what waits: claims, logs, events."),
    "web": ("control.cli.processes:web", "Serve the API and the web pages."),
}
"""Command to where it is written, and its line in the list; one without a line is not listed.

Only the command that is asked for is imported: imports are most of a short command.
"""


class Commands(click.Group):
    """The commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them all, by name."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one."""
        module, _, name = COMMANDS.get(cmd_name, ("", ""))[0].partition(":")
        return getattr(importlib.import_module(module), name) if module else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items() if line])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="talkoot", prog_name="talkoot")
def main() -> None:
    """Talkoot: a self-hosted control plane for machine-learning work.

    On one machine `talkoot serve` is all you need; the other processes are for larger
    installations. Settings come from the environment and `.env`: see docs/settings.md.
    """
