"""Config as a stack's file has it: all faults at once, each with its key and what to write."""

from __future__ import annotations

from typing import Any

import pytest

from stacks.inputs import GroupInputs, to_config
from stacks.settings import ConfigError, read

GROUP = "prod-aws-eu-west-1-wg-gpu"
GOOD: dict[str, str] = {
    "group": "gpu",
    "baseStack": "prod-aws-eu-west-1-base",
    "instanceType": "g5.xlarge",
    "image": "ami-0123456789abcdef0",
    "controlUrl": "https://talkoot.example.org",
    "releasePublicKey": "MCowBQYDK2VwAyEA" + "A" * 44,
}


def read_group(stack: str = GROUP, **more: Any):
    config = {f"talkoot:{key}": value for key, value in (GOOD | more).items()}
    return read(stack, config)


def faults(stack: str = GROUP, **more: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as raised:
        read_group(stack, **more)
    return raised.value.faults


def test_good_config_becomes_a_typed_value() -> None:
    stack = read_group(min="2", market="spot", maxPriceUsd="0.5", size="3")
    assert stack.inputs == GroupInputs(
        group="gpu",
        base_stack="prod-aws-eu-west-1-base",
        instance_type="g5.xlarge",
        image="ami-0123456789abcdef0",
        control_url="https://talkoot.example.org",
        release_public_key=GOOD["releasePublicKey"],
        min=2,
        market="spot",
        max_price_usd=0.5,
    )
    assert stack.size == 3


def test_what_is_written_reads_back_the_same() -> None:
    inputs = read_group(slots="4", owner="ada").inputs
    config = {f"talkoot:{key}": value for key, value in to_config(inputs).items()}
    assert read(GROUP, config).inputs == inputs


def test_every_fault_is_told_at_once() -> None:
    assert faults(min="many", slots="0", market="auction", instnceType="x") == (
        "talkoot:instnceType is not a key of a group stack; did you mean talkoot:instanceType?",
        "talkoot:min is 'many'; it must be a whole number.",
    )
    assert faults(slots="0", market="auction") == (
        "talkoot:market is 'auction'; it must be spot or on-demand.",
        "talkoot:slots is 0; it must be 1 to 256 executions at a time.",
    )


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"instanceType": "huge"}, "an EC2 instance type"),
        ({"image": "ubuntu"}, "an image id"),
        ({"image": ""}, "talkoot:image is missing"),
        ({"controlUrl": "http://talkoot.example.org"}, "where agents join"),
        ({"controlUrl": ""}, "talkoot:controlUrl is missing"),
        ({"min": "6"}, "talkoot:min is 6, above talkoot:max, 5"),
        ({"maxPriceUsd": "1"}, "talkoot:maxPriceUsd is for spot machines"),
        ({"size": "-1"}, "talkoot:size is '-1'"),
        ({"group": "cpu"}, "the stack's name says gpu"),
        ({"baseStack": "base"}, "is not a stack's name"),
        ({"baseStack": GROUP}, "ends in -base"),
        ({"baseStack": "prod-aws-us-east-1-base"}, "another cloud or region"),
        ({"caFingerprint": "ab"}, "64 hexadecimal digits"),
    ],
)
def test_a_fault_names_its_key_and_what_it_must_be(more: dict[str, str], words: str) -> None:
    found = faults(**more)
    assert any(words in fault for fault in found), found


def test_a_size_belongs_to_groups_only() -> None:
    with pytest.raises(ConfigError, match="talkoot:size is not a key of a base stack"):
        read(
            "prod-aws-eu-west-1-base",
            {"talkoot:installation": "acme", "talkoot:account": "1" * 12, "talkoot:size": "1"},
        )


def test_a_region_that_contradicts_the_stacks_name_is_told() -> None:
    config = {f"talkoot:{key}": value for key, value in GOOD.items()}
    with pytest.raises(ConfigError, match="the stack's name says eu-west-1"):
        read(GROUP, config | {"aws:region": "us-east-1"})


@pytest.mark.parametrize("name", ["gpu", "prod-eu-west-1-base", "Prod-aws-eu-west-1-base"])
def test_a_stack_whose_name_says_nothing_is_told_the_pattern(name: str) -> None:
    with pytest.raises(ConfigError, match="<env>-<cloud>-<region>-base"):
        read(name, {})
