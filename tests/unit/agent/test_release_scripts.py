"""The scripts that a release brings along."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "agent" / "release"


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="apt-get install shellcheck")
def test_scripts_have_no_fault_that_shellcheck_knows() -> None:
    scripts = [str(path) for path in sorted(SCRIPTS.iterdir()) if not path.suffix]
    assert len(scripts) == 2
    seen = subprocess.run(
        ["shellcheck", *scripts], capture_output=True, text=True, check=False, timeout=60
    )
    assert seen.returncode == 0, seen.stdout
