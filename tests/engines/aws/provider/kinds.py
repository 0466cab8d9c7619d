"""What a type of resource is to the plug-in, and the ways that many of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol
from urllib.parse import quote

from tests.engines.aws.provider.account import Account, or_none

Values = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """An update: what was, what shall be, and which properties differ."""

    old: Values
    new: Values
    keys: frozenset[str]


class Kind(Protocol):
    """One type. Values are camelCase, as the engine's; `state` is what create or read answered."""

    token: ClassVar[str]
    title: ClassVar[str]  # as the real provider's errors call it
    named_by: ClassVar[str]  # the property that gets a name made up when the program gives none
    replaces: ClassVar[frozenset[str]]  # a change of these makes a new resource
    moved: ClassVar[frozenset[str]]  # outputs that an update may change
    over: ClassVar[str]  # "moto", or "ours": a model of our own, with memory

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        """Make it; answer its id and what is known of it beside its inputs."""
        ...

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        """Answer what is true of it now, of inputs and outputs; None when it is gone."""
        ...

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        """Make it so; answer the outputs that are new."""
        ...

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        """End it; silent when it is gone."""
        ...


class Base:
    """The parts that most kinds leave as they are."""

    title = ""
    named_by = ""
    replaces: ClassVar[frozenset[str]] = frozenset()
    moved: ClassVar[frozenset[str]] = frozenset()
    over = "moto"

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        raise NotImplementedError(f"an update of {sorted(change.keys)}")


KINDS: dict[str, Kind] = {}


def kind(token: str, title: str) -> Callable[[type[Any]], type[Any]]:
    """Enter a class into the table of types."""

    def enter(cls: type[Any]) -> type[Any]:
        cls.token, cls.title = token, title
        KINDS[token] = cls()
        return cls

    return enter


class Ours(Base):
    """A type that moto has no records of: its inputs are kept in the world, and nothing more.

    Such a resource can be slow, fail, drift and vanish like the others; what it would do in the
    cloud is not there.
    """

    over = "ours"
    id_of: ClassVar[Callable[[Values], str]]
    extra: ClassVar[Callable[[Account, str, Values], Values]]

    def __init__(self, token: str) -> None:
        self.token = token

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        id_ = type(self).id_of(inputs)
        made = {**inputs, **type(self).extra(aws, id_, inputs)}
        aws.world("PUT", self._path(id_), made)
        return id_, made

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        return aws.world("GET", self._path(id_))

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        kept = aws.world("GET", self._path(id_)) or {}
        made = {**kept, **change.new}
        aws.world("PUT", self._path(id_), made)
        return made

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        aws.world("DELETE", self._path(id_))

    def _path(self, id_: str) -> str:
        return f"resources/{quote(self.token, safe='')}//{quote(id_, safe='')}"


def ours(
    token: str,
    title: str,
    *,
    id_of: Callable[[Values], str],
    replaces: str = "",
    extra: Callable[[Account, str, Values], Values] = lambda aws, id_, inputs: {},
    named_by: str = "",
) -> None:
    """Enter a type of our own model; `replaces` is a list of properties with spaces between."""
    members = {
        "title": title,
        "named_by": named_by,
        "replaces": frozenset(replaces.split()),
        "id_of": staticmethod(id_of),
        "extra": staticmethod(extra),
    }
    made: Any = type("Kept", (Ours,), members)
    KINDS[token] = made(token)


# -- shapes ---------------------------------------------------------------------------------------
def pascal(value: Any) -> Any:
    """Write property names as AWS does: cidrBlock is CidrBlock, all the way down."""
    if isinstance(value, Mapping):
        return {key[:1].upper() + key[1:]: pascal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [pascal(item) for item in value]
    return value


def tag_list(inputs: Mapping[str, Any]) -> list[dict[str, str]]:
    tags = inputs.get("tags") or {}
    return [{"Key": key, "Value": str(value)} for key, value in sorted(tags.items())]


def tag_map(tags: list[dict[str, str]] | None) -> dict[str, str]:
    """Read AWS's list of tags, without its own."""
    found = {tag["Key"]: tag["Value"] for tag in tags or []}
    return {key: value for key, value in sorted(found.items()) if not key.startswith("aws:")}


def picked(inputs: Mapping[str, Any], **names: str) -> Values:
    """Take the properties that are given, under the names that the other side has for them."""
    return {theirs: inputs[ours] for ours, theirs in names.items() if inputs.get(ours) is not None}


def first(call: Callable[[], Mapping[str, Any]], key: str) -> Any:
    """Answer the first of a list in an answer; None when it is empty or there is no such thing."""
    answer = or_none(call)
    found = (answer or {}).get(key) or []
    return found[0] if found else None
