"""The values a step runs with, and the command lines they make (client-contract.md 2.5.1, 4.5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from valohai_yaml.excs import ValidationError, ValidationErrors
from valohai_yaml.objs import Parameter, Step

from control.domain.errors import FieldError, Invalid

Value = str | int | float | bool | list[Any]


def resolve_parameters(step: Step, given: Mapping[str, Any]) -> dict[str, Any]:
    """Cast and check what was given and fill in defaults, in the order of the file.

    None counts as not given. Raises Invalid with every fault, each at `parameters.<name>`.
    """
    errors = [
        FieldError(
            f"parameters.{name}",
            f"The step '{step.name}' has no such parameter{_known(step)}.",
            "unknown",
        )
        for name in given
        if name not in step.parameters
    ]
    values: dict[str, Any] = {}
    for name, parameter in step.parameters.items():
        try:
            value = _resolve(parameter, given.get(name))
        except _Fault as fault:
            errors += [FieldError(f"parameters.{name}", text, fault.code) for text in fault.texts]
            continue
        if value is not None:
            values[name] = value
    if errors:
        raise Invalid(*errors)
    return values


def render_commands(
    step: Step, values: Mapping[str, Any], command: str | list[str] | None = None
) -> list[str]:
    """Render the step's command, or the one that overrides it, one text an item.

    Raises Invalid for a template that cannot be filled.
    """
    try:
        return step.build_command(dict(values), command)
    except (KeyError, IndexError, ValueError, AttributeError, ValidationError) as error:
        raise Invalid.one("command", f"The command cannot be rendered: {error}") from error


class _Fault(Exception):
    def __init__(self, *texts: str, code: str = "invalid") -> None:
        super().__init__(*texts)
        self.texts = texts
        self.code = code


def _known(step: Step) -> str:
    return f"; it has {', '.join(step.parameters)}" if step.parameters else ""


def _resolve(parameter: Parameter, given: Any) -> Value | None:
    value = _single(given)
    is_default = value is None
    if is_default:
        value = parameter.default
    if value is None or (is_default and value == []):
        if parameter.optional:
            return None
        raise _Fault("This parameter is required.", code="required")
    if parameter.multiple and value == []:
        return [] if parameter.optional or parameter.default is not None else _missing()
    if parameter.type == "flag":
        return _flag(value)
    if parameter.type == "string":
        return _text(parameter, value)
    return _number(parameter, value)


def _missing() -> Value:
    raise _Fault("This parameter is required.", code="required")


def _single(given: Any) -> Any:
    """Unwrap the variant form `{"style": "single", "rules": {"value": 5}}`."""
    if not isinstance(given, dict):
        return given
    if given.get("style") != "single" or not isinstance(given.get("rules"), dict):
        raise _Fault("An execution takes one value; variants are for tasks.", code="variant")
    return given["rules"].get("value")


def _flag(value: Any) -> bool:
    if isinstance(value, str):
        value = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
            value.strip().lower(), value
        )
    if value in (True, False) and not isinstance(value, float):
        return bool(value)
    raise _Fault(f"{value!r} is neither true nor false.")


def _text(parameter: Parameter, value: Any) -> Value:
    """Check a text; numbers are written as text, and so are choices."""
    atoms = value if isinstance(value, list) else [value]
    if isinstance(value, list) and not parameter.multiple:
        raise _Fault("Only a single value is allowed.")
    texts = [_as_text(atom) for atom in atoms]
    if parameter.choices is not None:
        choices = [_as_text(choice) for choice in parameter.choices]
        wrong = [text for text in texts if text not in choices]
        if wrong:
            raise _Fault(
                *(f"'{text}' is not one of {', '.join(choices)}." for text in wrong),
                code="invalid_choice",
            )
    return texts if parameter.multiple else texts[0]


def _as_text(atom: Any) -> str:
    if isinstance(atom, (dict, list)) or atom is None:
        raise _Fault("A text is expected.")
    return str(atom)


def _number(parameter: Parameter, value: Any) -> Value:
    atoms = value if isinstance(value, list) else [value]
    if any(isinstance(atom, (dict, list, bool)) or atom is None for atom in atoms):
        raise _Fault("A number is expected.")
    if parameter.type == "integer":
        atoms = [
            int(atom) if isinstance(atom, float) and atom.is_integer() else atom for atom in atoms
        ]
    try:
        checked: Any = parameter.validate(atoms if isinstance(value, list) else atoms[0])
    except ValidationErrors as errors:
        raise _Fault(*(f"{text}." for text in errors.errors)) from errors
    numbers = checked if isinstance(checked, list) else [checked]
    if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
        raise _Fault("A finite number is expected.")
    return checked
