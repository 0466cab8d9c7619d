"""A scene on each database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.factories import Scene, make_scene


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    """A user, a project, a commit, an environment and a worker."""
    made = make_scene(database_url)
    yield made
    made.world.database.close()
