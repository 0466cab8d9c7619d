"""Gives what breaks things their installations."""

from __future__ import annotations

from tests.journey.fixtures import (
    docker_serve,
    fresh,
    place,
    shared,
    shared_docker,
    shared_serve,
)

__all__ = ["docker_serve", "fresh", "place", "shared", "shared_docker", "shared_serve"]
