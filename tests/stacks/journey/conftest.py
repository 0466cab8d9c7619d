"""A fake AWS account with everything in it, and machines that boot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.aws.machines import Machines, machines
from tests.engines.aws.world import World
from tests.engines.processes import wait_until
from tests.engines.pulumi.engine import PulumiEngine
from tests.stacks.journey.account import Account


@pytest.fixture
def booted(aws: World, tmp_path: Path) -> Iterator[Machines]:
    """Machines of the world boot as long as the test runs."""
    aws.pace(launch_s=0.5, end_s=0.5)
    with machines(aws, tmp_path / "machines") as made:
        yield made


@pytest.fixture
def account(aws: World, tmp_path: Path, pulumi_engine: PulumiEngine) -> Iterator[Account]:
    made = Account(tmp_path, pulumi_engine, aws)
    try:
        yield made
    finally:
        made.place.stop()
        wait_until(
            lambda: not made.place.left_over(),
            what=f"the end of {made.place.left_over()}",
            limit_s=30,
        )
