"""`python -m control.cli`: the command without its script."""

from __future__ import annotations

from control.cli.main import main

main(prog_name="talkoot")
