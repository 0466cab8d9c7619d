"""One group on the real engine, and the process that acts on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.pulumi.engine import PulumiEngine as RealPulumi
from tests.stacks.infra.process import Infra, make_infra


@pytest.fixture
def infra(tmp_path: Path, pulumi_engine: RealPulumi) -> Iterator[Infra]:
    made = make_infra(tmp_path, pulumi_engine)
    yield made
    made.stop()
    made.world.database.close()
