"""How `make test` spreads the tests over several processes (pytest-xdist)."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/conformance/", "tests/stacks/engine/", "tests/web/")
"""What shares something slow to start stays in one process, and so does a file of journeys."""


class Spread(LoadScopeScheduling):
    """Each test for itself, but for those that share; the largest groups first."""

    def _split_scope(self, nodeid: str) -> str:
        for folder in TOGETHER:
            if nodeid.startswith(folder):
                return folder
        return nodeid.partition("::")[0] if nodeid.startswith("tests/journey/") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Spread:
    """Choose it, whatever `--dist` says."""
    return Spread(config, log)
