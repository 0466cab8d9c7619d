"""YAML with places: the value of a text, and the line of every part of it.

The library that knows `valohai.yaml` names a fault by its path; people look for a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

MAX_CHARACTERS = 1_000_000
MAX_NODES = 100_000
"""Aliases count each time they are used, so that a small text cannot grow without end."""
MAX_DEPTH = 60

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at a place; line and column are counted from 1."""

    message: str
    line: int = 1
    column: int = 1

    def as_dict(self) -> dict[str, Any]:
        """Write it as it is stored beside a commit."""
        return {"message": self.message, "line": self.line, "column": self.column}


class Unreadable(Exception):
    """The text is not YAML, or not one that we read."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Document:
    """A text's value and the tree it came from."""

    value: Any
    root: yaml.Node | None

    def place(self, path: Sequence[str | int], *, key: str | None = None) -> tuple[int, int]:
        """Find the line and column of a path, or of the key `key` in it.

        Goes as deep as it can: a part that is missing has the place of what should hold it.
        """
        node, found = self.root, self.root
        for part in path:
            found = _child(found, part)
            if found is None:
                break
            node = found
        if key is not None and isinstance(node, yaml.MappingNode):
            for name, _ in node.value:
                if name.value == key:
                    return _position(name)
        return _position(node)

    def place_of_name(self, name: str) -> tuple[int, int]:
        """Find the first `name:` with this value; the first line when there is none."""
        return _position(_named(self.root, name)) if self.root is not None else (1, 1)


def read(text: str) -> Document:
    """Read a YAML text. Raises Unreadable."""
    if len(text) > MAX_CHARACTERS:
        raise Unreadable(Fault(f"The file is longer than {MAX_CHARACTERS} characters."))
    try:
        _check_depth(text)
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return Document(None, None)
            if _size(root, {}) > MAX_NODES:
                raise Unreadable(Fault(f"The file has more than {MAX_NODES} parts."))
            return Document(loader.construct_document(root), root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise Unreadable(_fault(error)) from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(Fault(f"This is not YAML: {error}")) from error


def _fault(error: yaml.YAMLError) -> Fault:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if mark is None:
        return Fault(f"This is not YAML: {problem}.")
    return Fault(f"This is not YAML: {problem}.", mark.line + 1, mark.column + 1)


def _check_depth(text: str) -> None:
    """Refuse deep nesting before a tree is built: building one recurses, in C without a net."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                mark = event.start_mark
                raise Unreadable(
                    Fault(f"Nested deeper than {MAX_DEPTH} levels.", mark.line + 1, mark.column + 1)
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the parts of a tree with its aliases written out."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MAX_NODES + 1  # what holds itself has no end
    total = 1
    if isinstance(node, yaml.SequenceNode):
        total += sum(_size(child, known) for child in node.value)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            total += _size(key, known) + _size(value, known)
    known[id(node)] = total
    return total


def _child(node: yaml.Node | None, part: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return node.value[part] if part < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return value
    return None


def _named(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode):
        children = list(node.value)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "name" and value.value == name:
                return value
        children = [value for _, value in node.value]
    else:
        return None
    for child in children:
        found = _named(child, name)
        if found is not None:
            return found
    return None


def _position(node: yaml.Node | None) -> tuple[int, int]:
    if node is None or node.start_mark is None:
        return 1, 1
    return node.start_mark.line + 1, node.start_mark.column + 1
