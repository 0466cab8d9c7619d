"""Rules of security groups, each its own resource with a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, vpc

WORLD = "0.0.0.0/0"


@dataclass(frozen=True, slots=True)
class Door:
    """TCP ports that are open to a group or an address block."""

    name: str
    words: str
    first: int
    last: int = 0  # 0: the same as `first`
    group: ec2.SecurityGroup | None = None  # None: `cidr`
    cidr: str = WORLD


def security_group(
    name: str,
    words: str,
    vpc_id: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> ec2.SecurityGroup:
    """Make a group that nothing may enter or leave yet."""
    return ec2.SecurityGroup(name, vpc_id=vpc_id, description=words, opts=opts)


def let_in(group: ec2.SecurityGroup, doors: Sequence[Door], opts: pulumi.ResourceOptions) -> None:
    """Open doors from outside."""
    for door in doors:
        vpc.SecurityGroupIngressRule(
            door.name,
            security_group_id=group.id,
            description=door.words,
            referenced_security_group_id=door.group.id if door.group else None,
            cidr_ipv4=None if door.group else door.cidr,
            ip_protocol="tcp",
            from_port=door.first,
            to_port=door.last or door.first,
            opts=opts,
        )


def let_out(group: ec2.SecurityGroup, doors: Sequence[Door], opts: pulumi.ResourceOptions) -> None:
    """Open doors to outside."""
    for door in doors:
        vpc.SecurityGroupEgressRule(
            door.name,
            security_group_id=group.id,
            description=door.words,
            referenced_security_group_id=door.group.id if door.group else None,
            cidr_ipv4=None if door.group else door.cidr,
            ip_protocol="tcp",
            from_port=door.first,
            to_port=door.last or door.first,
            opts=opts,
        )
