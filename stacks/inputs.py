"""What goes into a stack and comes out of it: the one module here that `control` may import.

Standard library only. Git's `Pulumi.<stack>.yaml` holds every key but SIZE; SIZE exists only in
the private work directory of `talkoot infra` (infrastructure.md 1.5 rule 1). Stack names are
`<env>-<cloud>-<region>-base|control|inference|wg-<group>` (architecture.md part 4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

PROJECT = "talkoot"
"""The name in Pulumi.yaml, and so the namespace of the keys: `talkoot:kind`."""

SIZE = "size"
"""How many machines the service wants; never in Git."""

KINDS = ("base", "control", "inference", "group")
CLOUDS = ("aws", "azure", "gcp", "openstack")

TAG_INSTALLATION = "talkoot:installation"
TAG_ENVIRONMENT = "talkoot:environment"
TAG_GROUP = "talkoot:group"
TAG_STACK = "talkoot:stack"
TAG_OWNER = "talkoot:owner"
TAG_MANAGED_BY = "talkoot:managed-by"
"""On every resource that can be tagged (SC-13). Keys are case-sensitive on AWS."""

_STACK_NAME = re.compile(
    r"(?P<env>[a-z0-9]+)-(?P<cloud>aws|azure|gcp|openstack)-(?P<region>[a-z0-9-]+?)"
    r"-(?:(?P<kind>base|control|inference)|wg-(?P<group>[a-z0-9][a-z0-9-]*))"
)


def reclaim_queue_name(installation: str) -> str:
    """Name the queue of spot reclaim notices: the base stack makes one in each of its regions."""
    return f"talkoot-{installation}-reclaims"


@dataclass(frozen=True, slots=True)
class StackName:
    """The parts of a stack's name; `group` is empty but for a worker group's."""

    env: str
    cloud: str
    region: str
    kind: str
    group: str = ""

    def __str__(self) -> str:
        last = f"wg-{self.group}" if self.kind == "group" else self.kind
        return f"{self.env}-{self.cloud}-{self.region}-{last}"


def parse_stack_name(text: str) -> StackName:
    """Take a stack's name apart. Raises ValueError with the pattern it must have."""
    found = _STACK_NAME.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is not a stack's name: <env>-<cloud>-<region>-base, -control, -inference "
            "or -wg-<group>, in small letters and digits; no - in <env>."
        )
    group = found["group"] or ""
    kind = found["kind"] or "group"
    return StackName(found["env"], found["cloud"], found["region"], kind, group)


@dataclass(frozen=True, slots=True)
class GroupInputs:
    """Config of a `group` stack, key by key, the same on every cloud; `size` is not among them.

    `market` is spot or on-demand; falling back from one to the other is a second group of the
    same environment with a later rank, so that every stack is one offering.
    """

    group: str
    base_stack: str  # read by StackReference; never computed from this stack's name
    instance_type: str
    image: str  # id of the machine image, pinned
    market: str = "on-demand"
    min: int = 0
    max: int = 5
    slots: int = 1  # executions at a time on one machine
    disk_gb: int = 100
    max_price_usd: float | None = None  # an hour, spot only; None: up to the on-demand price
    channel: str = "stable"  # of the agent's release
    agent_version: str = ""  # pins one release; "": the channel's newest
    control_url: str = ""  # where agents join
    ca_fingerprint: str = ""  # SHA-256 of the control service's CA, hex; "": public CAs
    release_public_key: str = ""  # as `talkoot release key` prints it; what signs agents' releases
    disk_device: str = "/dev/xvda"  # AWS: the image's root device; /dev/sda1 on Ubuntu
    owner: str = ""


@dataclass(frozen=True, slots=True)
class GroupOutputs:
    """What a `group` stack exports, on every cloud."""

    cloud: str
    region: str
    group: str
    resource: str  # ASG, MIG or scale set name; "" on OpenStack
    instance_type: str
    market: str
    slots: int
    min: int
    max: int
    size: int | None = None  # as last applied by the service; None after a person's `up`
    price_per_hour_usd: float | None = None
    warning: str = ""  # what a person should know, such as a maximum below what is live


def to_config(inputs: Any) -> dict[str, str]:
    """Write a dataclass of inputs as stack config, key to text; None and "" are left out."""
    written: dict[str, str] = {}
    for item in fields(inputs):
        value = getattr(inputs, item.name)
        if value is None or value == "":
            continue
        text = str(value).lower() if isinstance(value, bool) else str(value)
        written[key_of(item.name)] = text
    return written


def key_of(name: str) -> str:
    """Give the config key of a field: `base_stack` is `baseStack`."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def group_outputs(values: Mapping[str, Any]) -> GroupOutputs:
    """Read a group stack's outputs. Raises ValueError naming what is missing."""
    given: dict[str, Any] = {}
    for item in fields(GroupOutputs):
        key = key_of(item.name)
        if key in values:
            value = values[key]
            is_whole = isinstance(value, float) and value.is_integer()
            given[item.name] = (
                int(value) if is_whole and item.name != "price_per_hour_usd" else value
            )
    try:
        return GroupOutputs(**given)
    except TypeError as error:
        raise ValueError(f"The stack's outputs are not a worker group's: {error}.") from error
