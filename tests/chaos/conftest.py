"""Gives what breaks things their installations."""

from __future__ import annotations

from tests.journey.fixtures import fresh, place, shared, shared_docker

__all__ = ["fresh", "place", "shared", "shared_docker"]
