"""`talkoot infra` as a process, over the real engine and a cloud that is a folder."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from control.database.rows import AnyRow
from control.plugins.engines import processes
from control.services import stack_leases, stack_runs
from control.services.world import World
from tests.engines.infra_repository import GROUP_PROGRAM, InfraRepository
from tests.engines.pulumi.engine import PulumiEngine as RealPulumi
from tests.factories import Scene, make_scene
from tests.scaling_scenes import add_group, group_of, set_group

LIMIT_S = 120.0
OFTEN_S = 0.02
SECRET = "a-secret-that-nobody-may-see"


def wait_for(condition: Callable[[], object], what: str = "it") -> None:
    """Wait until a condition holds. Fails after two minutes."""
    pause = threading.Event()
    for _ in range(int(LIMIT_S / OFTEN_S)):
        if condition():
            return
        pause.wait(OFTEN_S)
    raise AssertionError(f"{what} did not come true")


@dataclass
class Infra:
    """A data directory with one group, its folder of a cloud, and the process that acts."""

    place: Path
    environment: dict[str, str]
    scene: Scene
    group_id: str
    repository: InfraRepository
    state: Path  # of the stacks, in files
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    # -- what there is -------------------------------------------------------------------------
    @property
    def world(self) -> World:
        return self.scene.world

    @property
    def group(self) -> AnyRow:
        return group_of(self.world, self.group_id)

    @property
    def stack(self) -> str:
        return self.group.stack

    @property
    def cloud(self) -> Path:
        return self.place / "cloud"

    @property
    def calls(self) -> list[str]:
        """What the cloud was asked, oldest first: `create machines` begins, `created` ends."""
        calls = self.cloud / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    @property
    def desired(self) -> int | None:
        """How many machines the cloud's group has; None when there is no group."""
        machines = self.cloud / "machines.json"
        return json.loads(machines.read_text())["desired"] if machines.exists() else None

    @property
    def locks(self) -> list[Path]:
        return list(self.state.glob(".pulumi/locks/**/*.json"))

    @property
    def runs(self) -> list[AnyRow]:
        """The runs, newest first."""
        return stack_runs.list_newest(self.world)

    def want(self, size: int, **changed: object) -> None:
        set_group(self.world, self.group_id, wanted=size, **changed)

    def configure(self, **config: str) -> None:
        """Change the stack's config."""
        inputs = {**self.group.inputs, **config}
        set_group(self.world, self.group_id, inputs=inputs)

    # -- the process ---------------------------------------------------------------------------
    def start(self) -> None:
        log = (self.place / "infra.log").open("ab")
        self.process = subprocess.Popen(
            [Path(sys.executable).parent / "talkoot", "infra", "--data", self.place / "data"],
            env=self.environment,
            cwd=self.place,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    def kill(self) -> None:
        """End the process at once, nothing else."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(LIMIT_S)

    def kill_all(self) -> None:
        """End the process and everything it started at once, as a machine that loses power does."""
        assert self.process is not None
        sessions = {self.process.pid}
        sessions |= {one.session for one in processes.all_of_them() if self._is_ours(one.pid)}
        self.process.send_signal(signal.SIGSTOP)  # starts nothing more
        for session in sessions:
            processes.kill_session(session)
        self.process.wait(LIMIT_S)

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill_all()

    def runner(self) -> int | None:
        """The process group of the run that goes on."""
        lease = stack_leases.find(self.world, self.stack)
        return lease.pid if lease is not None else None

    def _is_ours(self, pid: int) -> bool:
        try:
            given = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return str(self.place).encode() in given

    def talkoot(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours."""
        return subprocess.run(
            [Path(sys.executable).parent / "talkoot", *arguments],
            env={**self.environment, "TALKOOT_DATA": str(self.place / "data")},
            cwd=self.place,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the engine as a person would, in a checkout of their own."""
        return subprocess.run(
            ["pulumi", "--non-interactive", *arguments, "--stack", self.stack],
            cwd=self.repository.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )


def make_infra(place: Path, engine: RealPulumi) -> Infra:
    """Make everything but the process."""
    (place / "cloud").mkdir()
    (place / "data").mkdir()
    url = f"sqlite:///{place}/data/talkoot.db"
    repository = InfraRepository(place / "repository", GROUP_PROGRAM)
    environment = engine.environment(place) | {
        "DATABASE_URL": url,
        "TALKOOT_INFRA_REPO": str(repository.folder),
        "TALKOOT_INFRA_PARALLEL": "1",
        "TALKOOT_INSTALLATION": "test",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # nobody: the cloud is a folder
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "ARM_CLIENT_SECRET": SECRET,
    }
    scene = make_scene(url)
    infra = Infra(place, environment, scene, add_group(scene).id, repository, place / "state")
    infra.configure(place=str(infra.cloud))
    return infra
