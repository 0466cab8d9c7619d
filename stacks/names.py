"""What things are called in a cloud, and the tags they carry: one function each."""

from __future__ import annotations

import hashlib

from stacks.inputs import (
    PROJECT,
    TAG_ENVIRONMENT,
    TAG_GROUP,
    TAG_INSTALLATION,
    TAG_MANAGED_BY,
    TAG_OWNER,
    TAG_STACK,
    StackName,
)


def physical(stack: StackName, part: str, *, limit: int = 128) -> str:
    """Name a thing in the cloud, the same at every run; what is too long ends in a hash."""
    return shortened(f"{PROJECT}-{stack.env}-{stack.region}-{part}", limit)


def shortened(whole: str, limit: int) -> str:
    """Cut a name to `limit` characters; the cut part lives on in a hash."""
    if len(whole) <= limit:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:6]
    return f"{whole[: limit - 7].rstrip('-')}-{digest}"


def tags(stack: StackName, owner: str = "") -> dict[str, str]:
    """Give the tags of every resource of a stack, less the installation's."""
    found = {
        TAG_ENVIRONMENT: stack.env,
        TAG_STACK: str(stack),
        TAG_MANAGED_BY: "pulumi",
        TAG_GROUP: stack.group,
        TAG_OWNER: owner,
    }
    return {key: value for key, value in found.items() if value}


def all_tags(stack: StackName, installation: str, owner: str = "") -> dict[str, str]:
    """Give the tags of every resource of a stack (SC-13)."""
    return {TAG_INSTALLATION: installation, **tags(stack, owner)}
