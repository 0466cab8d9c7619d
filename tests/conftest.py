"""Gives every suite the real parts of tests/engines."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import botocore.session
import pytest

pytest_plugins = ["tests.engines.fixtures", "tests.engines.spread"]


@pytest.fixture(scope="session", autouse=True)
def _services_described_once() -> Iterator[None]:
    """Let all clients of a process share what botocore reads of its services: 0.3 s each."""
    with pytest.MonkeyPatch.context() as patch:
        loader = functools.cache(botocore.session.create_loader)
        patch.setattr(botocore.session, "create_loader", loader)
        yield
