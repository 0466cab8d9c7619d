"""Installations for the journeys: one that many share, and fresh ones to break."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.engines.container_engine import DockerEngine
from tests.engines.processes import wait_until
from tests.journey.installation import Installation


@contextmanager
def installed(folder: Path, environment: dict[str, str] | None = None) -> Iterator[Installation]:
    """Lend an installation that is not started; afterwards nothing of it may be left."""
    made = Installation(folder, environment)
    try:
        yield made
    finally:
        made.stop()
        wait_until(lambda: not made.left_over(), what=f"the end of {made.left_over()}", limit_s=15)


@pytest.fixture(scope="session")
def shared_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("shared")) as made:
        made.start()
        yield made


@pytest.fixture
def shared(shared_serve: Installation) -> Iterator[Installation]:
    """`talkoot serve --runtime process`, for journeys that leave it well."""
    yield shared_serve
    stop_all(shared_serve)


def stop_all(place: Installation) -> None:
    """Leave nothing running, for a journey that failed must not hold up the next one."""
    with httpx.Client(
        base_url=f"{place.url}/api/v0/",
        headers={"Authorization": f"Token {place.token}"},
        trust_env=False,
    ) as api:

        def running() -> list[str]:
            found = api.get("executions/", params={"status": "incomplete"}).json()
            return [one["id"] for one in found["results"]]

        for one in [*running(), *running()]:
            api.post(f"executions/{one}/stop/")
        wait_until(lambda: not running(), what="the end of all executions", every_s=0.1)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    """An installation of this test's own, not started."""
    with installed(tmp_path) as made:
        yield made


@pytest.fixture
def fresh(place: Installation) -> Installation:
    """`talkoot serve --runtime process` for this test alone."""
    place.start()
    return place


@pytest.fixture(scope="session")
def docker_serve(
    docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("docker")
    with installed(folder, docker_engine.environment) as made:
        made.start("docker")
        yield made
    assert not containers(docker_engine, made)


@pytest.fixture
def shared_docker(docker_serve: Installation) -> Iterator[Installation]:
    """`talkoot serve --runtime docker`; afterwards no container may be left."""
    yield docker_serve
    stop_all(docker_serve)


def no_container_is_left(engine: DockerEngine, place: Installation) -> None:
    """Wait for the agent, which clears up after its last report."""
    wait_until(lambda: not containers(engine, place), what="the end of the containers")


def containers(engine: DockerEngine, place: Installation) -> list[str]:
    """The containers whose folders lie in an installation's."""
    client = engine.client()
    try:
        return [
            str(one.id)
            for one in client.containers.list(
                all=True, filters={"label": "talkoot.attempt"}, ignore_removed=True
            )
            if any(str(place.folder) in str(mount) for mount in one.attrs.get("Mounts", ()))
        ]
    finally:
        client.close()
