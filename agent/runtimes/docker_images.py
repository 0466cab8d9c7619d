"""Images: the one that is here, else a pull with its progress and a plain sentence for failure."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from docker.utils import parse_repository_tag

from agent import wire
from agent.aside import Aside
from agent.phases.failures import PhaseFailed
from agent.phases.layout import is_switched_on
from agent.runtimes.base import Image, Report

FAILED = "image_pull_failed"
DONE = frozenset({"Pull complete", "Already exists"})


def prepare_image(engine: docker.APIClient, spec: wire.ExecutionSpec, report: Report) -> Image:
    """Give the image that will run. Raises PhaseFailed, Interrupted."""
    try:
        found = _find(engine, spec.image)
        if found is not None and not is_switched_on(spec, "VH_NO_IMAGE_CACHE"):
            sentence = f"Image: {spec.image} is on the machine"
            return Image(_digest(found), sentence, user_of(found))
        report.say(f"Image: pulling {spec.image}")
        _pull(engine, spec.image, report)
        found = _find(engine, spec.image)
    except APIError as error:
        raise PhaseFailed(FAILED, failure_sentence(spec.image, str(error.explanation))) from error
    except (DockerException, OSError) as error:
        raise PhaseFailed(FAILED, f"The container engine does not answer: {error}") from error
    if found is None:
        raise PhaseFailed(FAILED, f"Image {spec.image} was pulled and is not there")
    return Image(_digest(found), f"Image: {spec.image} pulled", user_of(found))


def _find(engine: docker.APIClient, name: str) -> dict[str, Any] | None:
    try:
        return engine.inspect_image(name)
    except ImageNotFound:
        return None


def _digest(found: dict[str, Any]) -> str:
    for one in found.get("RepoDigests") or ():
        return str(one).rpartition("@")[2]
    return str(found["Id"])


def user_of(found: dict[str, Any]) -> str:
    """Say whom an image runs as, from the engine's facts about it."""
    return str((found.get("Config") or {}).get("User") or "root")


def _pull(engine: docker.APIClient, name: str, report: Report) -> None:
    """Pull, also aside: a registry that says nothing must not hold up a stop."""
    Aside[None](lambda aside: _follow_pull(engine, name, report, aside)).run("pull", report.check)


def _follow_pull(engine: docker.APIClient, name: str, report: Report, aside: Aside[None]) -> None:
    repository, tag = parse_repository_tag(name)
    layers: dict[str, bool] = {}
    events = engine.pull(repository, tag=tag or "latest", stream=True, decode=True)
    for event in events:
        if "error" in event:
            raise PhaseFailed(FAILED, failure_sentence(name, str(event["error"])))
        layer, status = event.get("id"), event.get("status", "")
        if layer and (status in DONE or "layer" in status or "progressDetail" in event):
            layers[layer] = status in DONE or layers.get(layer, False)
            with aside.wanted():
                report.progress(sum(layers.values()), len(layers), "layers")


def drop_images(engine: docker.APIClient, spared: Collection[str]) -> None:
    """Remove every image but those of containers and the `spared`, which will be containers soon.

    The engine's own prune knows no names that it could spare.
    """
    kept = {str(one["ImageID"]) for one in engine.containers(all=True)}
    kept |= {str(found["Id"]) for name in spared if (found := _find(engine, name)) is not None}
    for image in engine.images():
        if image["Id"] not in kept:
            for name in image.get("RepoTags") or (image["Id"],):
                with contextlib.suppress(APIError):
                    engine.remove_image(name)


def failure_sentence(name: str, text: str) -> str:
    """Say in plain words why an image cannot be had; the engine's own words go last."""
    low = text.lower()
    if any(word in low for word in ("manifest unknown", "not found", "no such image")):
        why = "there is no such image or tag in its registry"
    elif any(word in low for word in ("denied", "unauthorized", "authentication required")):
        why = "its registry gives it to nobody without rights, or does not have it"
    elif any(
        word in low
        for word in ("no such host", "connection refused", "timeout", "no route", "unreachable")
    ):
        why = "its registry cannot be reached from this worker"
    elif "no space left" in low:
        raise PhaseFailed("disk_full", f"The worker's disk is full: {name} does not fit")
    elif "invalid reference" in low:
        why = "this is no image name"
    else:
        why = "the engine failed"
    return f"Image {name} cannot be pulled: {why} ({text.strip()})"
