"""What may be asked of a worker group, and the stack config it becomes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import yaml

from control.domain import worker_groups as rules
from stacks.inputs import GroupInputs, key_of, parse_stack_name
from tests.scaling_scenes import new_group

FINGERPRINT = "a" * 64


@pytest.mark.parametrize(
    ("given", "field", "word"),
    [
        ({"name": "GPU"}, "name", "small letters"),
        ({"name": "a" * 41}, "name", "40"),
        ({"name": "-gpu"}, "name", "inside"),
        ({"base_stack": "prod"}, "base_stack", "<env>-<cloud>-<region>-base"),
        ({"base_stack": "prod-moon-eu-base"}, "base_stack", "openstack"),
        ({"cloud": "gcp"}, "cloud", "is in aws"),
        ({"region": "us-east-1"}, "region", "eu-west-1"),
        ({"instance_type": ""}, "instance_type", "g5.xlarge"),
        ({"instance_type": "g5 xlarge"}, "instance_type", "g5.xlarge"),
        ({"image": " "}, "image", "id"),
        ({"image": "ami\n1"}, "image", "one line"),
        ({"markets": ()}, "markets", "at least one"),
        ({"markets": ("cheap",)}, "markets", "'cheap'"),
        ({"markets": ("spot", "spot")}, "markets", "once"),
        ({"max_price_usd": 1.0}, "max_price_usd", "spot"),
        ({"environment": "GPU large"}, "environment", "slug"),
        ({"minimum": -1}, "minimum", "from 0"),
        ({"minimum": 6}, "minimum", "maximum of 5"),
        ({"maximum": 10_001}, "maximum", "to 10000"),
        ({"spare": 6}, "spare", "maximum of 5"),
        ({"slots": 0}, "slots", "from 1"),
        ({"idle_ttl_s": -1}, "idle_ttl_s", "from 0"),
        ({"boot_grace_s": 59}, "boot_grace_s", "from 60"),
        ({"burst": 0}, "burst", "from 1"),
        ({"disk_gb": 7}, "disk_gb", "from 8"),
        ({"price_per_hour_usd": -0.1}, "price_per_hour_usd", "dollars"),
        ({"price_per_hour_usd": float("nan")}, "price_per_hour_usd", "dollars"),
        ({"hourly_budget_usd": -1.0}, "hourly_budget_usd", "dollars"),
        ({"monthly_budget_usd": 2e6}, "monthly_budget_usd", "dollars"),
        ({"channel": ""}, "channel", "channel"),
        ({"agent_version": "1" * 65}, "agent_version", "64"),
        ({"owner": "x" * 151}, "owner", "150"),
        ({"control_url": "http://talkoot.example"}, "control_url", "HTTPS"),
        ({"ca_fingerprint": "AB"}, "ca_fingerprint", "64"),
        ({"control_url": "http://127.0.0.1.example"}, "control_url", "HTTPS"),
        ({"disk_device": "xvda"}, "disk_device", "/dev/xvda"),
    ],
)
def test_a_fault_is_named(given: dict[str, Any], field: str, word: str) -> None:
    found = rules.faults_of(new_group(**given))
    assert [fault.field for fault in found] == [field]
    assert word in found[0].message


def test_what_is_written_is_the_config_that_the_stack_reads() -> None:
    """Control may not import the stacks' inputs, so here the two are compared."""
    new = rules.completed(
        new_group(
            "gpu",
            markets=("spot",),
            max_price_usd=0.5,
            agent_version="1.2",
            control_url="https://talkoot.example",
            ca_fingerprint=FINGERPRINT,
            release_public_key="MCow",
            disk_device="/dev/sda1",
            owner="vision",
        )
    )
    [offering] = rules.offerings_of(new)
    assert set(offering.inputs) == {key_of(item.name) for item in fields(GroupInputs)}
    name = parse_stack_name(offering.stack)
    assert (name.env, name.cloud, name.region, name.group) == ("prod", "aws", "eu-west-1", "gpu")


def test_the_config_for_git_holds_the_bounds_and_no_size() -> None:
    [offering] = rules.offerings_of(rules.completed(new_group("gpu", owner='"quoted": #1')))
    text = rules.render_config("aws", "eu-west-1", offering.inputs)
    assert "size" not in "".join(line for line in text.splitlines() if not line.startswith("#"))
    assert '  aws:region: "eu-west-1"' in text.splitlines()
    assert '  talkoot:max: "5"' in text.splitlines()
    config = yaml.safe_load(text)["config"]
    assert config["talkoot:owner"] == '"quoted": #1'
    assert {key.removeprefix("talkoot:") for key in config} - {"aws:region"} == set(offering.inputs)
