"""The program of a worker group: one offering of one cloud, resized by the service.

With `size` in config (the service's runs) the capacity is exactly that. Without it (people's
runs) the group is made at its minimum and its capacity is left as it is from then on
(infrastructure.md 1.5 rule 1), so that nobody's `up` undoes a resize. It holds no secret.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from stacks import names, outputs
from stacks.inputs import GroupInputs, GroupOutputs
from stacks.outputs import Reference
from stacks.settings import Stack
from stacks.userdata import cloud_init


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the cloud's group is told: numbers of machines."""

    wanted: int  # at creation only, unless `is_ours`
    maximum: int
    is_ours: bool  # the service says how many; else what is, stays
    warning: str = ""


def capacity(inputs: GroupInputs, size: int | None) -> Capacity:
    """Decide the numbers; a maximum below what is live never cuts (1.5 rule 4)."""
    if size is None:
        return Capacity(inputs.min, inputs.max, is_ours=False)
    if size <= inputs.max:
        return Capacity(size, inputs.max, is_ours=True)
    return Capacity(
        size,
        size,
        is_ours=True,
        warning=f"{size} machines are live, above the maximum of {inputs.max}: "
        "they are drained, not cut.",
    )


def user_data(stack: Stack[GroupInputs]) -> str:
    """Render what a machine does at its first start; it holds no secret."""
    inputs = stack.inputs
    return cloud_init.render(
        cloud_init.UserData(
            group=inputs.group,
            cloud=stack.name.cloud,
            control_url=inputs.control_url,
            ca_fingerprint=inputs.ca_fingerprint,
            channel=inputs.channel,
            agent_version=inputs.agent_version,
            release_public_key=inputs.release_public_key,
            slots=inputs.slots,
        )
    )


def build(stack: Stack[GroupInputs]) -> GroupOutputs:
    """Register the group's resources."""
    numbers = capacity(stack.inputs, stack.size)
    if numbers.warning:
        pulumi.log.warn(numbers.warning)
    base = Reference(stack.inputs.base_stack)
    made = _BUILDERS[stack.name.cloud](stack, numbers, base)
    inputs = stack.inputs
    return outputs.of(
        GroupOutputs,
        cloud=stack.name.cloud,
        region=stack.name.region,
        group=inputs.group,
        resource=made.resource,
        instance_type=inputs.instance_type,
        market=inputs.market,
        slots=inputs.slots,
        min=inputs.min,
        max=inputs.max,
        size=made.size,
        warning=numbers.warning,
    )


@dataclass(frozen=True, slots=True)
class Made:
    """What a cloud's group is called, and how many machines its stack has recorded."""

    resource: str
    size: pulumi.Output[int]


def _aws(stack: Stack[GroupInputs], numbers: Capacity, base: Reference) -> Made:
    # Imported where it is needed: a program pays for one cloud's modules only.
    from stacks.components.aws.provider import make_provider
    from stacks.components.aws.worker_group import Place, WorkerGroup

    tags = base.tags(stack.name, stack.inputs.owner)
    place = Place(
        subnet_ids=base.require("worker_subnet_ids"),
        security_group_id=base.require("worker_security_group_id"),
        instance_profile=base.require("worker_instance_profile"),
        disk_key_arn=base.require("disk_key_arn"),
        tags=tags,
    )
    group = WorkerGroup(
        names.physical(stack.name, f"wg-{stack.inputs.group}"),
        stack.inputs,
        numbers,
        place,
        user_data(stack),
        opts=pulumi.ResourceOptions(provider=make_provider(stack.name, tags, is_quick=True)),
    )
    return Made(group.name, group.group.desired_capacity)


_BUILDERS = {"aws": _aws}
