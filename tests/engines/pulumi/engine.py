"""The real Pulumi engine: the one on PATH, else the one built from the pins."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.engines.pulumi import build

BUILD_LIMIT_S = 30 * 60
PASSPHRASE = "a passphrase for tests"
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class PulumiEngine:
    """Where the CLI and its Python language host lie."""

    folder: Path

    @property
    def program(self) -> Path:
        return self.folder / "pulumi"

    def version(self) -> str:
        done = subprocess.run(
            [self.program, "version"],
            env={"PATH": _SYSTEM_PATH, "HOME": "/nonexistent", "PULUMI_SKIP_UPDATE_CHECK": "true"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip().removeprefix("v")

    def environment(self, place: Path, *, backend: str = "") -> dict[str, str]:
        """Make the whole environment of a private installation in `place`.

        Its state is in files under `place`, unless `backend` says where else, as PULUMI_BACKEND_URL
        does. Nothing is fetched: a plug-in that is not in `place`/home/plugins is an error. The
        interpreter of these tests runs the programs.
        """
        home, state = place / "home", place / "state"
        for folder in (home, state):
            folder.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": f"{self.folder}:{Path(sys.executable).parent}:{_SYSTEM_PATH}",
            "HOME": str(place),
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": backend or f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }


def find() -> PulumiEngine:
    """Find the engine, or build it."""
    on_path = shutil.which("pulumi")
    # The vendor's archive has both in one folder; a CLI alone cannot run a Python program.
    if on_path and shutil.which("pulumi-language-python", path=str(Path(on_path).parent)):
        return PulumiEngine(Path(on_path).parent)
    return PulumiEngine(build.built())
