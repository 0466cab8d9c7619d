"""A scene on each database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.database import migrate
from control.database.session import Database
from tests.engines.postgres import Postgres
from tests.factories import Scene, make_scene


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database to copy: a migration costs more than most tests."""
    file = tmp_path_factory.mktemp("migrated") / "talkoot.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def migrated_template(postgres_server: Postgres) -> Iterator[str]:
    """The address of a PostgreSQL database to copy."""
    with postgres_server.database() as url:
        _migrate(url)
        yield url


def _migrate(url: str) -> None:
    database = Database(url)
    migrate.upgrade(database)
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated database for this test alone, once of each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path)
        yield f"sqlite:///{tmp_path}/talkoot.db"
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    with server.database(template=request.getfixturevalue("migrated_template")) as url:
        yield url


@pytest.fixture
def scene(migrated_url: str) -> Iterator[Scene]:
    """A user, a project, a commit, an environment and a worker."""
    made = make_scene(migrated_url)
    yield made
    made.world.database.close()
