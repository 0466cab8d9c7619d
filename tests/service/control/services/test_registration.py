"""Stacks are taken in by what they export and what Git says: once, or again after a change."""

from __future__ import annotations

import pytest

from control.domain.errors import Invalid
from control.services import registration, resizing, worker_groups
from tests.factories import Scene

STACK = "prod-aws-eu-west-1-wg-gpu"
OUTPUTS = {
    "cloud": "aws",
    "region": "eu-west-1",
    "group": "gpu",
    "resource": "talkoot-gpu-asg",
    "size": 3,
    "pricePerHourUsd": 1.006,
}
CONFIG = {
    "aws:region": "eu-west-1",
    "group": "gpu",
    "baseStack": "prod-aws-eu-west-1-base",
    "instanceType": "g5.xlarge",
    "image": "ami-1",
    "max": "8",
}


def test_a_groups_stack_becomes_a_group_with_its_environment(scene: Scene) -> None:
    row, is_new = registration.register_group(
        scene.world, STACK, OUTPUTS, CONFIG, environment="", now=scene.now
    )
    assert is_new
    assert (row.resource, row.max, row.applied, row.wanted) == ("talkoot-gpu-asg", 8, 3, 3)
    assert row.price_per_hour_usd == 1.006
    view = worker_groups.find(scene.world, None, "gpu")
    assert view.environment.slug == "gpu"
    assert resizing.due(scene.world, scene.now) == [], "what is there needs no run"


def test_registering_again_takes_the_changes_of_git_and_keeps_the_size(scene: Scene) -> None:
    for config in (CONFIG, CONFIG | {"max": "12", "image": "ami-2"}):
        row, is_new = registration.register_group(
            scene.world, STACK, OUTPUTS | {"size": None}, config, environment="", now=scene.now
        )
    assert not is_new
    assert (row.max, row.inputs["image"]) == (12, "ami-2")
    assert len(worker_groups.list_all(scene.world)) == 1


def test_another_kind_of_stack_or_one_without_config_is_refused(scene: Scene) -> None:
    for outputs, config, words in (
        ({"cloud": "aws"}, CONFIG, "no output region"),
        (OUTPUTS, {}, "commit the stack's config"),
        (OUTPUTS | {"group": "other"}, CONFIG, "whose stack is named"),
    ):
        with pytest.raises(Invalid, match=words):
            registration.register_group(
                scene.world, STACK, outputs, config, environment="", now=scene.now
            )


def test_a_base_stack_gives_the_lines_of_the_stores(scene: Scene) -> None:
    del scene
    outputs = {
        "cloud": "aws",
        "region": "eu-west-1",
        "installation": "acme",
        "artifactsBucket": "acme-artifacts",
        "logsBucket": "acme-logs",
        "repositoryUrls": ["1.dkr.ecr.eu-west-1.amazonaws.com/acme/executions"],
    }
    assert registration.settings_of(outputs) == [
        "STORE_URL=s3://acme-artifacts?region=eu-west-1",
        "LOG_STORE_URL=s3://acme-logs?region=eu-west-1",
        "TALKOOT_INSTALLATION=acme",
    ]
    assert registration.registries_of(outputs) == outputs["repositoryUrls"]
