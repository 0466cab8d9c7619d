"""The command `talkoot`."""

from __future__ import annotations

import click

from control.cli import admin, doctor, processes, serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="talkoot", prog_name="talkoot")
def main() -> None:
    """Talkoot: a self-hosted control plane for machine-learning work.

    On one machine `talkoot serve` is all you need; the other processes are for larger
    installations. Settings come from the environment and `.env`: see docs/settings.md.
    """


main.add_command(serve.serve)
main.add_command(serve.one_port)
for process in (processes.web, processes.streams, processes.loops, processes.agent):
    main.add_command(process)
main.add_command(processes.migrate_command)
main.add_command(doctor.doctor)
main.add_command(admin.admin)
