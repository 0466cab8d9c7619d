"""The real parts as fixtures: each starts when a test first asks, and ends with the session."""

from __future__ import annotations

from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.engines import (
    announce,
    apt,
    container_engine,
    git_servers,
    images,
    postgres,
    s3,
    valkey,
)
from tests.engines.aws.world import World, aws_world
from tests.engines.clients import CHROMIUM_FLAGS, Vh
from tests.engines.container_engine import DockerEngine
from tests.engines.git_servers import HttpGitServer, SshGitServer
from tests.engines.postgres import Postgres
from tests.engines.pulumi import engine as pulumi
from tests.engines.pulumi.engine import PulumiEngine
from tests.engines.s3 import S3Server
from tests.engines.valkey import ValkeyServer


def pytest_sessionstart(session: pytest.Session) -> None:
    capture = session.config.pluginmanager.get_plugin("capturemanager")
    if capture is not None:
        announce.past(capture.global_and_fixture_disabled)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give time to build the Pulumi engine: who asks first builds it, and the others wait."""
    for item in items:
        if isinstance(item, pytest.Function) and "pulumi_engine" in item.fixturenames:
            item.add_marker(pytest.mark.timeout(pulumi.BUILD_LIMIT_S))


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    with container_engine.docker_engine() as engine:
        yield engine


@pytest.fixture
def docker_environment(
    docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> DockerEngine:
    """Let this test's own process find the engine as a user's would: by DOCKER_HOST."""
    monkeypatch.setenv("DOCKER_HOST", docker_engine.host)
    return docker_engine


@pytest.fixture(scope="session")
def busybox_image(docker_engine: DockerEngine) -> Iterator[str]:
    client = docker_engine.client()
    yield images.busybox(client)
    client.close()


@pytest.fixture(scope="session")
def python_image(docker_engine: DockerEngine) -> Iterator[str]:
    client = docker_engine.client()
    yield images.python(client)
    client.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with postgres.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: Postgres) -> str:
    """The cluster's own database; a test that writes asks for `postgres_database`."""
    return postgres_server.url()


@pytest.fixture
def postgres_database(postgres_server: Postgres) -> Iterator[str]:
    """The address of an empty database for this test alone."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, once of each kind that must behave the same."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/talkoot.db"
    return request.getfixturevalue("postgres_database")


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    with valkey.valkey() as server:
        yield server


@pytest.fixture
def valkey_url(valkey_server: ValkeyServer) -> str:
    """The address of a server that is up and empty when the test begins."""
    valkey_server.ensure_up()
    valkey_server.wipe()
    return valkey_server.url


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with s3.s3() as server:
        yield server


@pytest.fixture(scope="session")
def world_of_aws() -> Iterator[World]:
    """One fake AWS account for the session, started once; a test that breaks it uses `aws`."""
    with aws_world() as world:
        yield world


@pytest.fixture
def aws(world_of_aws: World) -> Iterator[World]:
    """The session's AWS account, empty, at its usual pace, and mended when the test ends."""
    world_of_aws.reset()
    yield world_of_aws
    world_of_aws.mend()


@pytest.fixture(scope="session")
def pulumi_engine() -> PulumiEngine:
    """The real CLI and language host; a test makes its own installation with `environment`."""
    return pulumi.find()


@pytest.fixture(scope="session")
def ssh_git_server() -> Iterator[SshGitServer]:
    with git_servers.ssh_git_server() as server:
        yield server


@pytest.fixture(scope="session")
def http_git_server() -> Iterator[HttpGitServer]:
    with git_servers.http_git_server() as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> Path:
    return apt.program("chromium", "chromium")


@pytest.fixture(scope="session")
def browser(chromium: Path) -> Iterator[Browser]:
    """A browser that is started once; a test takes a context of its own from it."""
    # Playwright's own Node needs it, and a small Debian does not have it.
    apt.present(lambda: find_library("atomic"), "libatomic", "libatomic1")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(chromium), args=list(CHROMIUM_FLAGS)
        )
        yield browser
        browser.close()


@pytest.fixture
def vh(tmp_path: Path) -> Vh:
    folder = tmp_path / "vh-work"
    config = tmp_path / "vh-config"
    folder.mkdir()
    config.mkdir()
    return Vh(folder, config)
