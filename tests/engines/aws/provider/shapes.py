"""What the provider SDK says a resource's inputs are, as data, and what of them is wrong.

The shapes are read from the SDK's own argument classes, once for each type and SDK version, and
kept in the cache: importing a module of the SDK takes a second.
"""

from __future__ import annotations

import collections.abc
import hashlib
import importlib
import importlib.metadata
import inspect
import json
import os
import sys
import types
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from tests.engines import places

SDK_VERSION = importlib.metadata.version("pulumi-aws")
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What stands for a value that is not known yet, in a preview."""

Shape = Any  # "string", …, or {"list": Shape}, {"map": Shape}, {"object": {name: Shape}, …}
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


@cache
def _reader() -> str:
    """Name this way of reading: another one keeps its shapes elsewhere."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]


@cache
def of(token: str) -> Mapping[str, Any]:
    """Answer {"inputs": Shape, "outputs": names} of a type such as aws:ec2/vpc:Vpc."""
    folder = f"aws-shapes-{SDK_VERSION}-{_reader()}"
    kept = places.cache() / folder / f"{token.replace('/', '.')}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    made = _read_sdk(token)
    kept.parent.mkdir(parents=True, exist_ok=True)
    new = kept.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps(made))
    new.rename(kept)
    return made


def faults(shape: Shape, value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Tell where a value is not of its shape: (path, what is wrong)."""
    if value is None or value == UNKNOWN or shape == "any":
        return
    if isinstance(shape, str):
        if not _is_plain(shape, value):
            yield path, f"expected a {shape}, got {json.dumps(value)[:80]}"
    elif "list" in shape:
        yield from _list_faults(shape["list"], value, path)
    elif not isinstance(value, dict):
        yield path, f"expected an object, got {json.dumps(value)[:80]}"
    elif "map" in shape:
        for key, item in value.items():
            yield from faults(shape["map"], item, f"{path}.{key}")
    else:
        yield from _object_faults(shape, value, path)


def _list_faults(shape: Shape, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        yield path, f"expected a list, got {json.dumps(value)[:80]}"
        return
    for number, item in enumerate(value):
        yield from faults(shape, item, f"{path}[{number}]")


def _object_faults(shape: Shape, value: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    known: Mapping[str, Shape] = shape["object"]
    for name in shape["required"]:
        if value.get(name) is None:
            yield _inside(path, name), "Missing required argument"
    for name, item in value.items():
        if name.startswith("__"):
            continue
        if name not in known:
            yield _inside(path, name), "An argument of this name is not expected here"
        else:
            yield from faults(known[name], item, _inside(path, name))


def _inside(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _is_plain(shape: str, value: Any) -> bool:
    if shape in ("integer", "number"):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and (shape == "number" or float(value).is_integer())
    return isinstance(value, str if shape == "string" else bool)


# -- the SDK --------------------------------------------------------------------------------------
def _read_sdk(token: str) -> dict[str, Any]:
    # Only here: the SDK is what takes long.
    from pulumi import _types

    _, place, name = token.split(":")
    module = importlib.import_module(f"pulumi_aws.{place.partition('/')[0]}")
    resource = getattr(module, name)
    outputs = list(_types.resource_pulumi_to_py_names(resource))
    # A part of another resource may have the name already; then it is called differently.
    beside = sys.modules[resource.__module__]
    inputs = getattr(beside, f"{name}InitArgs", None) or getattr(beside, f"{name}Args")
    return {"inputs": _object(inputs), "outputs": outputs}


def _object(cls: Any) -> Shape:
    from pulumi import _types

    names = _types.input_type_py_to_pulumi_names(cls)
    parameters = inspect.signature(cls.__init__).parameters.values()
    required = [
        names[parameter.name]
        for parameter in parameters
        if parameter.name in names and parameter.default is inspect.Parameter.empty
    ]
    fields = {name: _shape(hint) for name, hint in _types.input_type_types(cls).items()}
    return {"object": fields, "required": required}


def _shape(hint: Any) -> Shape:
    from pulumi import _types

    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _shape_of_union(inner)
    if origin is collections.abc.Sequence:
        return {"list": _shape(inner[0])}
    if origin is collections.abc.Mapping:
        return {"map": _shape(inner[1])}
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, type) and _types.is_input_type(hint):
        return _object(hint)
    return "any"


def _shape_of_union(parts: tuple[Any, ...]) -> Shape:
    for part in parts:
        is_later = get_origin(part) is collections.abc.Awaitable or "Output" in repr(part)
        is_enum = isinstance(part, type) and issubclass(part, Enum)
        if part is not type(None) and not is_later and not is_enum:
            return _shape(part)
    return "any"
