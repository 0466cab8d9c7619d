"""What `pulumi` runs: the program that the stack's name chooses, or every fault of its config."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

# This checkout's code, whichever one is installed in the virtual environment.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pulumi

from stacks import outputs, settings


def main() -> None:
    try:
        config = pulumi.runtime.config
        stack = settings.read(pulumi.get_stack(), config.CONFIG.get(), config.is_config_secret)
    except settings.ConfigError as error:
        raise pulumi.RunError(str(error)) from error
    program = importlib.import_module(f"stacks.{stack.name.kind}")
    outputs.export(program.build(stack))


if __name__ == "__main__":
    main()
