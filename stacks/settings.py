"""A stack's config, read once and checked before anything is registered.

All faults are told at once, each with the key to mend. No pulumi here: `stacks/__main__.py` hands
in what the engine passes, and the tests what they like.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from stacks import rules
from stacks.inputs import (
    PROJECT,
    SECRETS,
    SIZE,
    BaseInputs,
    ControlInputs,
    GroupInputs,
    InferenceInputs,
    StackName,
    key_of,
    parse_stack_name,
)

T = TypeVar("T")

INPUTS: dict[str, type[Any]] = {
    "base": BaseInputs,
    "control": ControlInputs,
    "inference": InferenceInputs,
    "group": GroupInputs,
}
"""The config of each kind of stack."""


class ConfigError(Exception):
    """A stack's config is wrong; the text lists every fault."""

    def __init__(self, stack: str, faults: list[str]) -> None:
        lines = "".join(f"\n  * {fault}" for fault in faults)
        super().__init__(f"The config of stack {stack} is wrong; mend Pulumi.{stack}.yaml:{lines}")
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Stack(Generic[T]):
    """What a program is to build."""

    name: StackName
    inputs: T
    size: int | None = None  # of a worker group, when the service says so


def read(
    stack: str, config: Mapping[str, Any], is_secret: Callable[[str], bool] = lambda _: True
) -> Stack[Any]:
    """Check a stack's name and config; keys are whole, `talkoot:instanceType`.

    `is_secret` tells whether a key's value is encrypted in the stack's file. Raises ConfigError
    with every fault.
    """
    try:
        name = parse_stack_name(stack)
    except ValueError as error:
        raise ConfigError(stack, [str(error)]) from error
    given = {
        key.removeprefix(f"{PROJECT}:"): value
        for key, value in config.items()
        if key.startswith(f"{PROJECT}:")
    }
    shape = INPUTS[name.kind]
    faults = _unknown_keys(given, shape, name.kind)
    size = _size(given.pop(SIZE, None), faults) if name.kind == "group" else None
    values = _values(given, shape, faults)
    faults += [
        f"{PROJECT}:{key} lies open; encrypt it: pulumi config set --secret {key}"
        for key in map(key_of, SECRETS)
        if key in given and not is_secret(f"{PROJECT}:{key}")
    ]
    region = config.get("aws:region")
    if name.cloud == "aws" and region is not None and region != name.region:
        faults.append(f"aws:region is {region!r}, but the stack's name says {name.region}.")
    if values is not None:
        faults += rules.faults(name, values)
    if faults or values is None:
        raise ConfigError(stack, faults)
    return Stack(name, values, size)


def _unknown_keys(given: Mapping[str, Any], shape: type[Any], kind: str) -> list[str]:
    known = {key_of(item.name) for item in fields(shape)}
    if kind == "group":
        known.add(SIZE)
    faults: list[str] = []
    for key in sorted(set(given) - known):
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {PROJECT}:{near[0]}?" if near else "."
        faults.append(f"{PROJECT}:{key} is not a key of a {kind} stack{hint}")
    return faults


def _size(text: Any, faults: list[str]) -> int | None:
    if text is None:
        return None
    if not str(text).isdecimal():
        faults.append(f"{PROJECT}:{SIZE} is {text!r}; it must be a number of machines, 0 or more.")
        return None
    return int(str(text))


def _values(given: Mapping[str, Any], shape: type[Any], faults: list[str]) -> Any | None:
    """Build the dataclass; None when a value is missing or does not read."""
    hints = get_type_hints(shape)
    values: dict[str, Any] = {}
    is_whole = True
    for item in fields(shape):
        key = key_of(item.name)
        if key not in given or str(given[key]).strip() == "":
            if _is_required(item):
                faults.append(f"{PROJECT}:{key} is missing.")
                is_whole = False
            continue
        try:
            values[item.name] = _convert(given[key], hints[item.name])
        except ValueError as error:
            faults.append(f"{PROJECT}:{key} is {given[key]!r}; it must be {error}.")
            is_whole = False
    return shape(**values) if is_whole else None


def _is_required(item: Field[Any]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


def _convert(value: Any, hint: Any) -> Any:
    """Read one value as its field's type. Raises ValueError with what it must be."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is tuple:
        return tuple(part.strip() for part in str(value).split(",") if part.strip())
    return _READERS[hint](str(value).strip())


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


def _number(what: str, kind: type[int] | type[float]) -> Callable[[str], Any]:
    def read_number(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            raise ValueError(what) from None

    return read_number


_READERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    bool: _truth,
    int: _number("a whole number", int),
    float: _number("a number", float),
}
