"""The unmodified public clients, as a user has them: `vh` in its own process, and a browser."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class Vh:
    """The released `vh` with its own settings folder, run in `folder`."""

    folder: Path
    config: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(
        self, *arguments: str, text: str | None = None, check: bool = True, limit_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run it with `text` on standard input; AssertionError with its words if it fails."""
        done = subprocess.run(
            [Path(sys.executable).with_name("vh"), *arguments],
            cwd=self.folder,
            env=self._full_environment(),
            input=text or "",
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        if check and done.returncode:
            words = done.stdout + done.stderr
            raise AssertionError(f"vh {' '.join(arguments)}: status {done.returncode}\n{words}")
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it and leave it running, output and errors in one pipe; the caller ends it."""
        return subprocess.Popen(
            [Path(sys.executable).with_name("vh"), *arguments],
            cwd=self.folder,
            env=self._full_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _full_environment(self) -> dict[str, str]:
        mine = {k: v for k, v in os.environ.items() if not k.startswith(("VALOHAI_", "TALKOOT_"))}
        return {
            **mine,
            "VALOHAI_CONFIG_DIR": str(self.config),
            "PYTHONUNBUFFERED": "1",
            "LC_ALL": "C.UTF-8",
            **self.environment,
        }
