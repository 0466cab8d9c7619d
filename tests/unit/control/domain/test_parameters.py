"""Values are cast, checked and filled in; commands are rendered from them."""

from __future__ import annotations

from typing import Any

import pytest
from valohai_yaml.objs import Step

from control.domain.errors import Invalid
from control.domain.parameters import render_commands, resolve_parameters


def step(*parameters: dict[str, Any], command: str | list[str] = "run {parameters}") -> Step:
    """Make a step with parameters."""
    about = {"name": "s", "image": "i", "command": command, "parameters": list(parameters)}
    return Step.parse(about)


EPOCHS = {"name": "epochs", "type": "integer", "default": 5, "min": 1, "max": 10}
RATE = {"name": "rate", "type": "float"}
KIND = {"name": "kind", "type": "string", "choices": ["a", 1], "optional": True}
LOUD = {"name": "loud", "type": "flag"}
QUIET = {"name": "quiet", "type": "flag", "default": True}
LAYERS = {"name": "layers", "type": "integer", "multiple": "separate", "optional": True}


@pytest.mark.parametrize(
    ("parameter", "given", "value"),
    [
        pytest.param(EPOCHS, {}, 5, id="a-default-fills-in"),
        pytest.param(EPOCHS, {"epochs": None}, 5, id="null-is-not-given"),
        pytest.param(EPOCHS, {"epochs": "7"}, 7, id="a-number-as-text-is-cast"),
        pytest.param(EPOCHS, {"epochs": 7.0}, 7, id="a-whole-float-is-an-integer"),
        pytest.param(
            EPOCHS,
            {"epochs": {"style": "single", "rules": {"value": 9}}},
            9,
            id="the-variant-form-with-one-value",
        ),
        pytest.param(RATE, {"rate": 1}, 1.0, id="an-integer-is-a-float"),
        pytest.param(KIND, {"kind": "a"}, "a", id="a-choice"),
        pytest.param(KIND, {"kind": 1}, "1", id="a-number-for-a-text-is-text"),
        pytest.param(KIND, {}, None, id="optional-and-absent"),
        pytest.param(LOUD, {}, None, id="a-flag-without-default-is-left-out"),
        pytest.param(LOUD, {"loud": "true"}, True, id="a-flag-as-text"),
        pytest.param(LOUD, {"loud": False}, False, id="a-flag-that-is-false"),
        pytest.param(QUIET, {}, True, id="a-flags-default-fills-in"),
        pytest.param(LAYERS, {"layers": [1, "2"]}, [1, 2], id="many-are-cast-each"),
        pytest.param(LAYERS, {"layers": 3}, [3], id="one-of-many"),
        pytest.param(LAYERS, {"layers": []}, [], id="none-of-many"),
    ],
)
def test_a_value_is_resolved(parameter: dict[str, Any], given: Any, value: Any) -> None:
    resolved = resolve_parameters(step(parameter), given)
    assert resolved.get(parameter["name"]) == value
    assert type(resolved.get(parameter["name"])) is type(value)


@pytest.mark.parametrize(
    ("parameter", "given", "words", "code"),
    [
        pytest.param(RATE, {}, "required", "required", id="required"),
        pytest.param(RATE, {"rate": None}, "required", "required", id="null-when-required"),
        pytest.param(EPOCHS, {"epochs": 11}, "greater than the maximum", "invalid", id="above"),
        pytest.param(EPOCHS, {"epochs": 0}, "less than the minimum", "invalid", id="below"),
        pytest.param(EPOCHS, {"epochs": 1.5}, "not an integer", "invalid", id="a-fraction"),
        pytest.param(EPOCHS, {"epochs": True}, "A number", "invalid", id="a-boolean"),
        pytest.param(EPOCHS, {"epochs": [1, 2]}, "single value", "invalid", id="many-for-one"),
        pytest.param(EPOCHS, {"epochs": [[1]]}, "A number", "invalid", id="nested"),
        pytest.param(RATE, {"rate": "nan"}, "finite", "invalid", id="not-a-number"),
        pytest.param(KIND, {"kind": "b"}, "not one of a, 1", "invalid_choice", id="no-choice"),
        pytest.param(KIND, {"kind": ["a"]}, "single value", "invalid", id="a-list-for-a-text"),
        pytest.param(LOUD, {"loud": "perhaps"}, "neither", "invalid", id="no-flag"),
        pytest.param(
            RATE,
            {"rate": {"style": "linear", "rules": {"start": 0}}},
            "variants are for tasks",
            "variant",
            id="a-sweep",
        ),
    ],
)
def test_a_wrong_value_is_named(
    parameter: dict[str, Any], given: Any, words: str, code: str
) -> None:
    with pytest.raises(Invalid) as caught:
        resolve_parameters(step(parameter), given)
    (error,) = caught.value.errors
    assert (error.field, error.code) == (f"parameters.{parameter['name']}", code)
    assert words in error.message


def test_every_fault_is_named_and_not_only_the_first() -> None:
    with pytest.raises(Invalid) as caught:
        resolve_parameters(step(EPOCHS, RATE), {"epochs": 99, "colour": 1})
    fields = [error.field for error in caught.value.errors]
    assert fields == ["parameters.colour", "parameters.epochs", "parameters.rate"]


def test_values_are_in_the_order_of_the_file() -> None:
    values = resolve_parameters(step(RATE, EPOCHS), {"epochs": 1, "rate": 2})
    assert list(values) == ["rate", "epochs"]


def test_a_command_holds_the_values_quoted_and_leaves_the_rest_alone() -> None:
    many = step(
        KIND | {"choices": None},
        LOUD,
        LAYERS,
        command=["run {parameters}", "echo ${HOME} {unknown} {parameter-value:kind}"],
    )
    values = resolve_parameters(many, {"kind": "a b", "loud": True, "layers": [1, 2]})
    assert render_commands(many, values) == [
        "run '--kind=a b' --loud --layers=1,2",
        "echo ${HOME} {unknown} 'a b'",
    ]


def test_a_command_can_be_replaced() -> None:
    assert render_commands(step(EPOCHS), {"epochs": 2}, ["only {parameters}"]) == [
        "only --epochs=2"
    ]


def test_a_template_that_cannot_be_filled_is_a_fault_of_the_command() -> None:
    with pytest.raises(Invalid, match="The command cannot be rendered"):
        render_commands(step(EPOCHS | {"pass-as": "--{nothing}"}), {"epochs": 2})
