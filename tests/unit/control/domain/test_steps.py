"""A configuration is read whole, and every fault has its line."""

from __future__ import annotations

import pytest

from control.domain.errors import Invalid
from control.domain.steps import find_step, read_config, step_names

TYPES = ["flag", "float", "integer", "string"]
STEP = "- step:\n    name: x\n    image: i\n    command: c\n"


def places(text: str) -> list[tuple[int, int, str]]:
    """Line, column and words of each fault; a broken text has no configuration."""
    config, faults = read_config(text)
    assert config is None
    return [(fault["line"], fault["column"], fault["message"]) for fault in faults]


def test_a_sound_file_is_what_yaml_says() -> None:
    assert read_config(STEP) == (
        [{"step": {"name": "x", "image": "i", "command": "c"}}],
        [],
    )


def test_every_fault_is_named_with_its_line_and_not_only_the_first() -> None:
    text = (
        "- step:\n    name: a\n    image: i\n    command: c\n    foo: 1\n    parameters:\n"
        "      - name: e\n        type: integr\n"
        "- step:\n    name: b\n    comand: c\n"
    )
    assert places(text) == [
        (5, 5, "step 'a': unknown key 'foo'."),
        (
            8,
            15,
            f"step 'a', parameter 'e', type: 'integr' is not one of {TYPES}.",
        ),
        (10, 5, "step 'b': 'command' is a required property."),
        (10, 5, "step 'b': 'image' is a required property."),
        (11, 5, "step 'b': unknown key 'comand'."),
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param("- a: [\n b", 3, "This is not YAML", id="broken-yaml"),
        pytest.param("", 1, "The file is empty.", id="empty"),
        pytest.param("hello", 1, "is not of type 'array'", id="text"),
        pytest.param("a: \0", 1, "This is not YAML", id="control-character"),
        pytest.param("[" * 100_000, 1, "Nested deeper than 60 levels.", id="deep"),
        pytest.param("x: &a [*a]", 1, "more than 100000 parts", id="holds-itself"),
        pytest.param(STEP + "    1: 2\n", 2, "The key 1 must be a text", id="number-as-key"),
        pytest.param(
            STEP + "    runtime-config-preset: p\n", 2, 'missing "environment"', id="needs-another"
        ),
        pytest.param(STEP + "    time-limit: soon\n", 1, "'soon'", id="no-duration"),
        pytest.param(
            STEP + '    parameters:\n      - name: q\n        pass-as: "{v:>99999}"\n',
            6,
            "a pass-as holds only",
            id="a-template-that-asks-for-gigabytes",
        ),
        pytest.param(
            STEP + '    parameters:\n      - name: q\n        pass-as: "{value.real}"\n',
            6,
            "a pass-as holds only",
            id="a-template-that-looks-inside",
        ),
    ],
)
def test_a_fault_has_its_line(text: str, line: int, words: str) -> None:
    found = places(text)
    assert [place for place, _, said in found if words in said] == [line], found


def test_aliases_cannot_grow_without_end() -> None:
    text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True):
        text += f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
    assert places(text) == [(1, 1, "The file has more than 100000 parts.")]


def test_a_plain_pass_as_is_taken() -> None:
    text = STEP + '    parameters:\n      - name: q\n        pass-as: "-{name} {value:.3f}"\n'
    assert read_config(text)[1] == []


def test_a_step_is_found_by_its_name() -> None:
    config, _ = read_config(STEP)
    assert find_step(config, "x").image == "i"
    assert step_names(config) == ["x"]


def test_an_unknown_step_is_named_with_those_there_are() -> None:
    config, _ = read_config(STEP)
    with pytest.raises(Invalid, match=r"No step 'y' in ml\.yaml; it has x\.") as caught:
        find_step(config, "y", source="ml.yaml")
    assert (caught.value.errors[0].field, caught.value.errors[0].code) == (
        "step",
        "does_not_exist",
    )


def test_a_commit_without_configuration_has_no_step() -> None:
    with pytest.raises(Invalid, match="it has no step"):
        find_step(None, "x")
