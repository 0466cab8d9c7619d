"""A worker whose disk runs full: told in words, and the worker goes on."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.engines.container_engine import DockerEngine
from tests.engines.processes import wait_until
from tests.journey.fixtures import installed, no_container_is_left
from tests.journey.installation import LIMIT_S, Installation
from tests.journey.project import Execution, Project, make_project, step

DISK_BYTES = 24_000_000
TOO_MUCH = 60_000_000
FILL = f"head -c {TOO_MUCH} /dev/zero >"
SMALL = "small"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system where an agent named `small` keeps its state."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / SMALL
    place.mkdir()
    size = f"size={DISK_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture(params=["process", "docker"])
def place(request: pytest.FixtureRequest, tmp_path: Path, disk: Path) -> Iterator[Installation]:
    """Talkoot, and beside its own agent one with a small disk, once of each runtime."""
    environment: dict[str, str] = {}
    if request.param == "docker":
        engine: DockerEngine = request.getfixturevalue("docker_engine")
        environment = engine.environment
    with installed(tmp_path, environment) as place:
        place.start()
        place.add_environment(SMALL)
        place.agent(SMALL, SMALL, request.param)
        yield place
    if request.param == "docker":
        no_container_is_left(request.getfixturevalue("docker_engine"), place)


@pytest.fixture
def project(request: pytest.FixtureRequest, place: Installation) -> Project:
    image = request.getfixturevalue("busybox_image") if "DOCKER_HOST" in place.environment else "no"
    return make_project(
        place,
        step("code", f"{FILL} big", image=image),
        step(
            "outputs", 'echo kept > "$VH_OUTPUTS_DIR/a"', f'{FILL} "$VH_OUTPUTS_DIR/z"', image=image
        ),
        step("read", "true", image=image, inputs=[{"name": "file"}]),
        step("next", "echo well", image=image),
    )


@pytest.fixture
def large_file(tmp_path: Path) -> Iterator[str]:
    """The address of a file that no small disk holds."""
    folder = tmp_path / "files"
    folder.mkdir()
    with (folder / "large").open("wb") as file:
        file.truncate(TOO_MUCH)

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given, directory=str(folder))

        def copyfile(self, source: Any, outputfile: Any) -> None:
            with contextlib.suppress(OSError):  # the agent goes in the middle
                super().copyfile(source, outputfile)

        def log_message(self, *_: object, **__: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/large"
        server.shutdown()


def is_told(execution: Execution) -> None:
    """The reason is the disk, in words that say what to do."""
    ended = execution.wait("error")
    assert ended["reason"] == "disk_full", execution.story()
    assert "disk is full" in ended["reason_text"]
    assert "larger disk" in ended["reason_text"]
    assert ended["reason_text"] in execution.status_lines()
    assert "Traceback" not in execution.status_lines()


def goes_on(project: Project, disk: Path) -> None:
    """The same agent runs the next, and what filled the disk is gone."""
    following = project.run("next", environment=SMALL)
    assert following.wait("complete")["attempt_count"] == 1
    assert following.lines() == ["well"]
    attempts = disk / "attempts"
    wait_until(lambda: not list(attempts.iterdir()), what="empty folder", limit_s=LIMIT_S)
    assert shutil.disk_usage(disk).used < DISK_BYTES // 10


def test_a_step_that_fills_the_disk_is_told_and_the_worker_goes_on(
    project: Project, disk: Path
) -> None:
    is_told(project.run("code", environment=SMALL))
    goes_on(project, disk)
    execution = project.run("outputs", environment=SMALL)
    is_told(execution)
    assert execution.outputs()["a"] == b"kept\n"
    goes_on(project, disk)


@pytest.mark.parametrize("place", ["process"], indirect=True)
def test_an_input_that_does_not_fit_is_told_and_the_worker_goes_on(
    project: Project, disk: Path, large_file: str
) -> None:
    execution = project.run("read", environment=SMALL, inputs={"file": [large_file]})
    is_told(execution)
    goes_on(project, disk)
    assert not list(disk.rglob("*.part"))
