"""The Docker runtime itself, without an agent around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import wire
from agent.phases.layout import Layout
from agent.runtimes.base import Job
from agent.runtimes.docker import DockerEngine as Runtime
from tests.engines.container_engine import DockerEngine


def job_in(folder: Path, spec: wire.ExecutionSpec) -> Job:
    """Make the folders of an attempt, and what the runtime is told of it."""
    for name in ("repository", "inputs", "outputs", "config", "control"):
        (folder / name).mkdir()
    return Job(spec, folder, Layout(), {}, ["/bin/sh", "-c", "true"])


def runtime_of(engine: DockerEngine, job: Job) -> Runtime:
    """Make the runtime as an agent that starts anew has it; the caller closes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine.host)
        runtime = Runtime(job.folder)
        runtime.check()
    return runtime
