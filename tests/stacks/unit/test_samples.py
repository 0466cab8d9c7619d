"""The sample configs: a newcomer copies one file, so each must be right and name every key."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.inputs import PROJECT, key_of, parse_stack_name
from stacks.settings import INPUTS, read

FOLDER = Path(__file__).parents[3] / "examples" / "infrastructure"
SAMPLES = sorted(FOLDER.glob("Pulumi.*.yaml"))
LATER = {"talkoot:queuePassword": "0123456789" * 4}
"""What a person sets by command, since it is encrypted."""


def stack_of(sample: Path) -> str:
    return sample.name.removeprefix("Pulumi.").removesuffix(".yaml")


def config_of(text: str) -> dict[str, Any]:
    return yaml.safe_load(text)["config"]


def test_there_is_a_sample_of_each_kind() -> None:
    assert {parse_stack_name(stack_of(sample)).kind for sample in SAMPLES} == set(INPUTS)


@pytest.mark.parametrize("sample", SAMPLES, ids=stack_of)
def test_a_sample_is_right_as_it_is(sample: Path) -> None:
    stack = stack_of(sample)
    config = config_of(sample.read_text("utf-8"))
    if stack.endswith("-control"):
        config |= LATER
    assert read(stack, config).name == parse_stack_name(stack)


@pytest.mark.parametrize("sample", SAMPLES, ids=stack_of)
def test_a_sample_names_every_key_and_shows_its_default(sample: Path) -> None:
    text = sample.read_text("utf-8")
    shape = INPUTS[parse_stack_name(stack_of(sample)).kind]
    shown = dict(re.findall(rf"^  (?:# )?{PROJECT}:(\w+): *(.*)$", text, re.MULTILINE))
    shown |= dict.fromkeys(re.findall(rf"^  (?:# )?{PROJECT}:(\w+):$", text, re.MULTILINE), "")
    assert set(shown) == {key_of(item.name) for item in fields(shape)}
    for item in fields(shape):
        if (
            item.default not in (MISSING, None, "", ())
            and f"  # {PROJECT}:{key_of(item.name)}:" in text
        ):
            assert shown[key_of(item.name)].strip('"') == _as_text(item.default), item.name


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)
