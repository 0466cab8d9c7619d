"""An installation in a fake AWS account: a person's stacks, the service, machines that boot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.engines.aws.provider.install import install
from tests.engines.aws.world import World
from tests.engines.processes import wait_until
from tests.engines.pulumi.engine import PulumiEngine
from tests.journey.installation import ROOT, Installation, Process
from tests.journey.project import git

BASE = "test-aws-eu-west-1-base"
ACCOUNT_ID = "123456789012"
PULUMI_LIMIT_S = 300
IDLE = {"idle_ttl_s": 4, "stabilisation_s": 2}
"""So that a machine without work leaves within seconds; an operator's least is a minute."""


class Account:
    """The account, the repository of its stacks, and Talkoot beside it."""

    def __init__(self, folder: Path, engine: PulumiEngine, world: World) -> None:
        self.folder = folder
        self.world = world
        self.repository = folder / "infrastructure"
        self.place = Installation(folder, self._environment(engine))
        self.infra: Process | None = None
        install(folder / "engine" / "home")
        self._check_out()

    def _environment(self, engine: PulumiEngine) -> dict[str, str]:
        certificates = self.folder / "certificates"
        certificates.mkdir()
        (certificates / f"{self.world.region}.pem").write_text(self.world.identity_certificate())
        return {
            **engine.environment(self.folder / "engine"),
            **self.world.environment,
            "TALKOOT_INFRA_REPO": str(self.repository),
            "TALKOOT_INSTALLATION": "test",
            "TALKOOT_AWS_ACCOUNTS": ACCOUNT_ID,
            "TALKOOT_AWS_IDENTITY_CERTIFICATES": str(certificates),
        }

    def _check_out(self) -> None:
        """Make the infrastructure team's repository: our programs and the base stack's config."""
        self.repository.mkdir()
        shutil.copytree(
            ROOT / "stacks",
            self.repository / "stacks",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        shutil.copy(ROOT / "Pulumi.yaml", self.repository)
        (self.repository / ".gitignore").write_text(".venv\n")
        (self.repository / ".venv").symlink_to(Path(sys.executable).parent.parent)
        self.configure(BASE, installation="test", account=ACCOUNT_ID)
        git(self.repository, "init", "--quiet", "--initial-branch=main")
        self.commit("Start")

    def configure(self, stack: str, **config: Any) -> None:
        written = {f"talkoot:{key}": value for key, value in config.items()}
        written["aws:region"] = self.world.region
        (self.repository / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": written}))

    def commit(self, message: str) -> None:
        git(self.repository, "add", "--all")
        git(self.repository, "commit", "--quiet", "--message", message)

    # -- what a person of the infrastructure team does ------------------------------------------
    def pulumi(self, *arguments: str, stack: str = BASE) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", "--non-interactive", *arguments, "--stack", stack],
            cwd=self.repository,
            env=self.place.environment,
            capture_output=True,
            text=True,
            timeout=PULUMI_LIMIT_S,
            check=False,
        )

    def up(self, stack: str = BASE) -> str:
        """Make the stack if need be, and bring it up."""
        self.pulumi("stack", "init", stack=stack)
        done = self.pulumi("up", "--yes", "--skip-preview", stack=stack)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # -- what an operator does ------------------------------------------------------------------
    def start(self) -> None:
        """Start Talkoot and publish the agent's release."""
        self.place.start()
        dist = self.folder / "dist"
        manifest = self.place.talkoot("release", "build", "--out", str(dist)).splitlines()[-1]
        self.place.talkoot("release", "publish", manifest, "--channel", "stable")

    def start_infra(self) -> Process:
        self.infra = self.place.process("infra", "infra", "--data", str(self.place.data))
        return self.infra

    def wait_for_machines(self, count: int, *, limit_s: float) -> None:
        """Wait until so many machines of the world are in service."""

        def running() -> int:
            return sum(
                1
                for group in self.world.groups()
                for member in group["members"]
                if member["state"] == "InService"
            )

        try:
            wait_until(lambda: running() == count, what=f"{count} machines", limit_s=limit_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.story()}") from error

    def story(self) -> str:
        """What was decided and done, for a test that failed."""
        parts = [self.place.talkoot("infra", "status"), self.place.talkoot("infra", "runs")]
        parts += [process.words[-4000:] for process in self.place.processes]
        return "\n".join(parts)
