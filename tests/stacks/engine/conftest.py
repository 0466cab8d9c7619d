"""One base stack for the session: the others stand on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engines.aws.world import World, aws_world
from tests.engines.pulumi.engine import PulumiEngine
from tests.stacks.engine import project
from tests.stacks.engine.project import BASE, Project

_LIMIT_S = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        # The first of them may build the engine, which has its own limit.
        if here in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_LIMIT_S))


@pytest.fixture(scope="session")
def account() -> Iterator[World]:
    """An account for these tests alone: others empty the one they share."""
    with aws_world() as world:
        yield world


@pytest.fixture(scope="session")
def checkout(
    pulumi_engine: PulumiEngine,
    account: World,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """The project with its base stack up, in an account that nobody empties."""
    made = project.make(pulumi_engine, account, tmp_path_factory.mktemp("stacks"))
    made.add(BASE)
    made.up(BASE)
    return made


@pytest.fixture
def world(account: World) -> World:
    """The account, with what was switched on before switched off."""
    account.mend()
    account.pace(launch_s=0.2, end_s=0.1, retry_s=0.3, heal_s=0.1)
    return account


@pytest.fixture
def end_of(checkout: Project) -> Callable[[str], None]:
    """Take a stack down, what is protected too."""

    def end(stack: str) -> None:
        checkout.pulumi("state", "unprotect", "--all", "--yes", "--stack", stack)
        checkout.destroy(stack)

    return end
