"""A worker group's resources on AWS, found by name: what a killed run of the engine may have made.

A resource of that name without the tag of the stack is somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from control.plugins.clouds.aws_calls import Clients
from stacks.inputs import TAG_STACK

Find = Callable[[Clients, str, str, str], str]
"""Clients, region, stack and name to an id; "" when there is none."""


def _template(clients: Clients, region: str, stack: str, name: str) -> str:
    answer = clients.of("ec2", region).describe_launch_templates(
        Filters=[{"Name": "launch-template-name", "Values": [name]}]
    )
    for found in answer["LaunchTemplates"]:
        if _is_of(stack, found.get("Tags", [])):
            return str(found["LaunchTemplateId"])
    return ""


def _group(clients: Clients, region: str, stack: str, name: str) -> str:
    answer = clients.of("autoscaling", region).describe_auto_scaling_groups(
        AutoScalingGroupNames=[name]
    )
    for found in answer["AutoScalingGroups"]:
        if _is_of(stack, found.get("Tags", [])):
            return str(found["AutoScalingGroupName"])
    return ""


def _is_of(stack: str, tags: Iterable[Mapping[str, str]]) -> bool:
    return any(tag["Key"] == TAG_STACK and tag["Value"] == stack for tag in tags)


FINDERS: Mapping[str, Find] = {
    "aws:ec2/launchTemplate:LaunchTemplate": _template,
    "aws:autoscaling/group:Group": _group,
}
