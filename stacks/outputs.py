"""How stacks tell each other what they made: typed outputs, exported and read by reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import pulumi

from stacks import names
from stacks.inputs import PROJECT, StackName, key_of

T = TypeVar("T")


def of(shape: type[T], **values: Any) -> T:
    """Fill a dataclass of outputs with values that the engine has yet to learn.

    To the program a field is a `pulumi.Output` of its type; to whoever reads it later, its type.
    """
    return shape(**values)


def export(made: Any) -> None:
    """Export a dataclass of outputs, field by field; what is None or "" is left out."""
    for item in fields(made):
        value = getattr(made, item.name)
        if value is not None and value != "":
            pulumi.export(key_of(item.name), value)


def needed(outputs: Mapping[str, Any], name: str, stack: str) -> Any:
    """Read the output of a field of another stack. Raises RunError with what to do."""
    if key_of(name) not in outputs:
        raise pulumi.RunError(
            f"Stack {stack} has no output {key_of(name)}: "
            f"run `pulumi up` on it first, or mend {PROJECT}:baseStack."
        )
    return outputs[key_of(name)]


class Reference:
    """The outputs of another stack: its last committed values, read without a lock."""

    def __init__(self, stack: str) -> None:
        self.stack = stack
        whole = f"{pulumi.get_organization()}/{PROJECT}/{stack}"
        self._outputs = pulumi.StackReference(whole, stack_name=whole).outputs

    def require(self, name: str) -> pulumi.Output[Any]:
        """Read the output of a field. Raises RunError, when it runs, if there is none."""
        return self._outputs.apply(lambda outputs: needed(outputs, name, self.stack))

    def tags(self, stack: StackName, owner: str) -> pulumi.Output[Mapping[str, str]]:
        """Give the tags of `stack`, in the installation of the base that this is."""
        return self.require("installation").apply(
            lambda installation: names.all_tags(stack, installation, owner)
        )
