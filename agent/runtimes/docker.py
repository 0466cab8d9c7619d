"""Steps in containers, through the Docker Engine API.

A container is found again by its name, which holds the attempt's id; its output is in the
engine's own json-file log, so an agent that is killed loses nothing. What a container may
use of the machine is in docker_limits.py, what it may reach in docker_network.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException
from docker.utils import kwargs_from_env

from agent import wire
from agent.phases.endings import Exit
from agent.phases.failures import PhaseFailed, Refused
from agent.phases.layout import Layout, is_switched_on, network_of
from agent.phases.output import Source
from agent.runtimes.base import Image, Job, Report
from agent.runtimes.docker_end import Waiter
from agent.runtimes.docker_images import drop_images, prepare_image, user_of
from agent.runtimes.docker_limits import host_limits
from agent.runtimes.docker_logs import open_log
from agent.runtimes.docker_network import block_metadata_service

LABEL_ATTEMPT = "talkoot.attempt"
LABEL_EXECUTION = "talkoot.execution"
LABEL_AGENT = "talkoot.agent"
TIMEOUT_S = 60
START_TIMEOUT_S = 300
SECONDS_TO_DIE = 10
CONFLICT = 409

NO_ROTATION = {"max-size": "8000000g", "max-file": "1", "compress": "false"}
"""Said in full, with a size beyond any disk (`-1` is refused): an engine adds its own defaults,
and a log that rotates loses lines."""

GROUP_SIGNALS = {"TINI_KILL_PROCESS_GROUP": "1"}
"""Docker's init passes SIGTERM on to the shell alone unless this says: to all that it started."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A container that exists."""

    handle: str
    is_started: bool = False


class DockerEngine:
    """The runtime `docker`; the engine is DOCKER_HOST or the usual socket."""

    name = "docker"

    def __init__(self, state: Path) -> None:
        # Several agents may share an engine; each clears up its own containers only.
        self._agent = hashlib.sha256(str(state).encode()).hexdigest()[:16]
        self._engine: docker.APIClient | None = None
        self._is_metadata_blocked = False
        self._gpus: bool | None = None
        self._lock = threading.Lock()
        self._waiters: dict[str, Waiter] = {}
        self._aside = ThreadPoolExecutor(4, thread_name_prefix="container")
        self._begun: dict[str, Future[_Made | None]] = {}  # by attempt
        self._images: dict[str, str] = {}  # by attempt, from before it is pulled
        self._users: dict[str, str] = {}  # by attempt, once its image is here

    @property
    def engine(self) -> docker.APIClient:
        """The connection; made at first use."""
        with self._lock:
            if self._engine is None:
                # utils.kwargs_from_env reads DOCKER_HOST and the TLS variables.
                settings = kwargs_from_env()
                self._engine = docker.APIClient(
                    version="auto", timeout=TIMEOUT_S, num_pools=16, **settings
                )
            return self._engine

    def check(self) -> None:
        try:
            self.engine.ping()
        except (DockerException, OSError) as error:
            raise Refused(
                "No container engine answers here: start Docker, or use --runtime process "
                f"for development. ({error})"
            ) from error
        self._is_metadata_blocked = block_metadata_service()

    def facts(self) -> dict[str, Any]:
        try:
            version = self.engine.version()
        except (DockerException, OSError):
            return {"engine": None}
        return {
            "engine": f"docker {version.get('Version')}",
            "metadata_service_blocked": self._is_metadata_blocked,
        }

    def warning(self) -> str | None:
        return None

    def layout(self, folder: Path) -> Layout:
        return Layout()

    def relay_address(self, network: str) -> str | None:
        if network == "host":
            return "127.0.0.1"
        if network == "none":
            return None
        try:
            found = self.engine.inspect_network(network)
        except (DockerException, OSError):
            return None
        for one in found.get("IPAM", {}).get("Config") or ():
            gateway = str(one.get("Gateway", ""))
            if gateway and ":" not in gateway:
                return gateway.partition("/")[0]
        return None

    def prepare_image(self, spec: wire.ExecutionSpec, report: Report) -> Image:
        self._images[spec.attempt_id] = spec.image
        image = prepare_image(self.engine, spec, report)
        self._users[spec.attempt_id] = image.user
        return image

    def get_ready(self, job: Job) -> None:
        """Create the container while code and inputs come; it takes the engine 50 ms and more."""
        if is_switched_on(job.spec, "VH_NO_IMAGE_CACHE"):
            return
        self._begun[job.spec.attempt_id] = self._aside.submit(self._begin, job)

    def _begin(self, job: Job) -> _Made | None:
        try:
            return self._create(job)
        except (DockerException, OSError):
            return None  # such as an image that is not here yet

    def start(self, job: Job) -> str:
        try:
            made = self._taken_up(job.spec.attempt_id) or self._made(job)
            if self._user_of(job.spec).partition(":")[0] not in ("root", "0"):
                _open_to_all(job.folder)
            if not made.is_started:
                self.engine.start(made.handle)
        except APIError as error:
            self.remove(None, job.folder, job.spec.attempt_id)
            raise PhaseFailed("container_create_failed", _start_sentence(error)) from error
        except (DockerException, OSError) as error:
            raise PhaseFailed(
                "container_create_failed", f"The container engine does not answer: {error}"
            ) from error
        return made.handle

    def _taken_up(self, attempt_id: str) -> _Made | None:
        """Wait for what was begun for the attempt."""
        begun = self._begun.pop(attempt_id, None)
        return begun.result() if begun is not None else None

    def _made(self, job: Job) -> _Made:
        """Create the container, or find the one of an earlier life."""
        try:
            return self._create(job)
        except APIError as error:
            if error.status_code != CONFLICT:
                raise
        found = self.engine.inspect_container(_name(job.spec.attempt_id))
        is_started = found["State"]["Status"] != "created"
        return _Made(str(found["Id"]), is_started)

    def _user_of(self, spec: wire.ExecutionSpec) -> str:
        """Say whom the image runs as; after a restart the engine is asked again."""
        known = self._users.get(spec.attempt_id)
        return known or user_of(self.engine.inspect_image(spec.image))

    def _create(self, job: Job) -> _Made:
        spec = job.spec
        limits = host_limits(spec, has_gpus=self._has_gpus())
        binds = [
            f"{job.folder / 'repository'}:{job.layout.repository}",
            f"{job.folder / 'inputs'}:{job.layout.inputs}",
            f"{job.folder / 'outputs'}:{job.layout.outputs}",
            f"{job.folder / 'config'}:{job.layout.config}:ro",
            f"{job.folder / 'control'}:{job.layout.control}",
        ]
        config = {
            "Image": spec.image,
            "Entrypoint": job.argv[:1],
            "Cmd": job.argv[1:],
            "WorkingDir": job.layout.repository,
            "Env": [f"{key}={value}" for key, value in (job.env_vars | GROUP_SIGNALS).items()],
            "Labels": {
                LABEL_ATTEMPT: spec.attempt_id,
                LABEL_EXECUTION: spec.execution_id,
                LABEL_AGENT: self._agent,
            },
            "Tty": False,
            "HostConfig": {
                "Binds": binds,
                "Init": True,
                "NetworkMode": network_of(spec),
                "SecurityOpt": ["no-new-privileges:true"],
                "LogConfig": {"Type": "json-file", "Config": NO_ROTATION},
                **limits,
            },
        }
        made = self.engine.create_container_from_config(config, _name(spec.attempt_id))
        return _Made(str(made["Id"]))

    def _has_gpus(self) -> bool:
        """Ask once: an engine takes 15 ms and more to gather its facts."""
        if self._gpus is None:
            self._gpus = "nvidia" in (self.engine.info().get("Runtimes") or {})
        return self._gpus

    def output(self, handle: str, folder: Path) -> Source:
        return open_log(self.engine, handle, self._waiter(handle).ended)

    def wait(self, handle: str, folder: Path, timeout_s: float) -> Exit | None:
        waiter = self._waiter(handle)
        return waiter.seen if waiter.ended.wait(timeout_s) else None

    def _waiter(self, handle: str) -> Waiter:
        engine = self.engine
        with self._lock:
            if handle not in self._waiters:
                self._waiters[handle] = Waiter(engine, handle)
                self._waiters[handle].start()
            return self._waiters[handle]

    def terminate(self, handle: str, folder: Path) -> None:
        self._signal(handle, "SIGTERM")

    def interrupt(self, handle: str, folder: Path) -> None:
        self._signal(handle, "SIGINT")

    def kill(self, handle: str, folder: Path) -> None:
        self._signal(handle, "SIGKILL")

    def _signal(self, handle: str, name: str) -> None:
        # 404 and 409: it has ended. Anything else is asked again by the caller.
        with contextlib.suppress(DockerException, OSError):
            self.engine.kill(handle, name)

    def remove(self, handle: str | None, folder: Path, attempt_id: str) -> None:
        self._taken_up(attempt_id)
        with self._lock:
            self._waiters.pop(handle or "", None)
            self._images.pop(attempt_id, None)
            self._users.pop(attempt_id, None)
        with contextlib.suppress(DockerException, OSError):
            self.engine.remove_container(handle or _name(attempt_id), force=True, v=True)

    def remove_leftovers(self, live: Collection[str]) -> list[str]:
        removed: list[str] = []
        filters = {"label": [f"{LABEL_AGENT}={self._agent}"]}
        for found in self.engine.containers(all=True, filters=filters):
            attempt_id = str(found["Labels"].get(LABEL_ATTEMPT))
            if attempt_id not in live:
                self.remove(str(found["Id"]), Path(), attempt_id)
                removed.append(attempt_id)
        return removed

    def close(self) -> None:
        """Give the connection back."""
        self._aside.shutdown()
        self.engine.close()

    def drop_images(self) -> None:
        with contextlib.suppress(DockerException, OSError):
            drop_images(self.engine, list(self._images.values()))


def _name(attempt_id: str) -> str:
    return f"talkoot-{attempt_id}"


def _start_sentence(error: APIError) -> str:
    text = str(error.explanation or error)
    if "/bin/sh" in text and ("no such file" in text or "not found" in text):
        return "The image has no /bin/sh, which runs the command"
    return f"The container cannot be started: {text}"


def _open_to_all(folder: Path) -> None:
    """Let an image's own user write where the contract says that steps may write."""
    for name in ("repository", "inputs", "outputs", "control"):
        for place, _, files in os.walk(folder / name):
            Path(place).chmod(0o777)
            if name == "repository":
                for file in files:
                    path = Path(place) / file
                    if not path.is_symlink():
                        path.chmod(path.stat().st_mode | 0o666)
