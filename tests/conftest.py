"""Gives every suite the real parts of tests/engines."""

from __future__ import annotations

pytest_plugins = ["tests.engines.fixtures", "tests.engines.spread"]
