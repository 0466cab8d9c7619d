"""Puts the plug-in where Pulumi looks for it."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.engines.aws.provider.shapes import SDK_VERSION

_ROOT = Path(__file__).parents[4]


def install(pulumi_home: Path) -> None:
    """Make `pulumi_home`/plugins/resource-aws-v…: two lines of shell that start ours."""
    folder = pulumi_home / "plugins" / f"resource-aws-v{SDK_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "pulumi-resource-aws"
    command = f'exec "{sys.executable}" -m tests.engines.aws.provider "$@"'
    script.write_text(f'#!/bin/sh\ncd "{_ROOT}" && PYTHONPATH="{_ROOT}" {command}\n')
    script.chmod(0o755)
