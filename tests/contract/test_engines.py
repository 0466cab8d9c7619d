"""Every registered stack engine keeps to the contract; Pulumi with the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from control.plugins.engines.contract import EngineContract, Stage
from control.plugins.engines.memory import FAIL, SLEEP_S, MemoryEngine
from control.plugins.engines.pulumi import PulumiEngine
from tests.engines.infra_repository import InfraRepository
from tests.engines.pulumi.engine import PulumiEngine as RealPulumi

STACK = "test-aws-eu-west-1-wg-small"
FAILING = {FAIL: "creating EC2 instance: InvalidAMIID.NotFound: no image 'ami-1'"}
SLOW = {SLEEP_S: "100"}


class TestMemoryEngine(EngineContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return Stage(MemoryEngine.from_url("memory:", options={}), STACK, SLOW, FAILING)


class TestPulumiEngine(EngineContract):
    @pytest.fixture
    def repository(self, tmp_path: Path) -> InfraRepository:
        return InfraRepository(tmp_path / "infra")

    @pytest.fixture
    def stage(
        self,
        tmp_path: Path,
        repository: InfraRepository,
        pulumi_engine: RealPulumi,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Iterator[Stage]:
        for name, value in pulumi_engine.environment(tmp_path).items():
            monkeypatch.setenv(name, value)
        options = {"data_dir": str(tmp_path / "data"), "repository": str(repository.folder)}
        engine = PulumiEngine.from_url("pulumi:", options=options)
        yield Stage(engine, STACK, SLOW, FAILING)
        engine.close()
