"""Where a policy document holds, and how its statements are written: plain data, no pulumi.

Names of things are known before they are made (stacks/names.py), so every document is a text that
a reviewer can read, and the tests keep as golden text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stacks import names
from stacks.inputs import TAG_INSTALLATION, StackName

Statement = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """The account, region and installation that a document speaks of."""

    stack: StackName
    account: str
    installation: str = ""  # "" where it is known only by reference to a base stack
    is_kept: bool = True  # protected against removal; not when a person is leaving

    @property
    def region(self) -> str:
        return self.stack.region

    def arn(self, service: str, resource: str) -> str:
        """Name things of this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def role(self, part: str) -> str:
        """Name a role by the part that it plays."""
        return f"arn:aws:iam::{self.account}:role/{role_name(self.stack, part)}"

    def bucket(self, part: str) -> str:
        """Name a bucket: unique in the world, by the account."""
        where = (self.installation, self.stack.env, self.account, self.region, part)
        return names.shortened("-".join(["talkoot", *filter(None, where)]), 63)

    @property
    def repositories(self) -> str:
        """The prefix of our repositories in the registry."""
        return f"talkoot-{self.stack.env}"

    @property
    def owned(self) -> dict[str, dict[str, str]]:
        """Hold for resources of this installation alone: an untagged one does not match."""
        return {"StringEquals": {f"aws:ResourceTag/{TAG_INSTALLATION}": self.installation}}

    @property
    def claimed(self) -> dict[str, dict[str, str]]:
        """Hold for requests that tag what they make as this installation's."""
        return {"StringEquals": {f"aws:RequestTag/{TAG_INSTALLATION}": self.installation}}


def role_name(stack: StackName, part: str) -> str:
    """Name a role or an instance profile."""
    return names.physical(stack, part, limit=64)


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str] = ("*",),
    condition: Mapping[str, Any] | None = None,
) -> Statement:
    """Write a statement of a role's policy."""
    statement: Statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(resources),
    }
    if condition:
        statement["Condition"] = dict(condition)
    return statement


def document(*statements: Statement) -> str:
    """Write a policy document, the same text for the same statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, sort_keys=True)


def trust(service: str) -> str:
    """Let a service take a role on."""
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sts:AssumeRole",
        }
    )
