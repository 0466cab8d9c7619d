"""A worker group on AWS: a launch template and an Auto Scaling group that never decides anything.

The service grows it by `up` and ends named machines; so the cloud's own reasons to end a machine
(zone balance, health, capacity rebalance, scale-in) are all off. Source: infrastructure.md 2.1.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
from pulumi_aws import autoscaling, ec2

from stacks.components.aws.machines import encrypted_disk, metadata_options, private_interface
from stacks.inputs import GroupInputs

if TYPE_CHECKING:
    from stacks.group import Capacity

SUSPENDED = ("AZRebalance", "ReplaceUnhealthy")
TAGGED_AT_LAUNCH = ("instance", "volume", "network-interface")


@dataclass(frozen=True, slots=True)
class Place:
    """What a group takes from its base stack."""

    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_id: pulumi.Input[str]
    instance_profile: pulumi.Input[str]
    disk_key_arn: pulumi.Input[str]
    tags: pulumi.Output[Mapping[str, str]]


class WorkerGroup(pulumi.ComponentResource):
    """The launch template and the group; `name` is the group's, known before it is made."""

    def __init__(
        self,
        name: str,
        inputs: GroupInputs,
        numbers: Capacity,
        place: Place,
        user_data: str,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("talkoot:aws:WorkerGroup", inputs.group, None, opts)
        self.name = name
        self.template = self._make_template(inputs, place, user_data)
        self.group = self._make_group(inputs, numbers, place)
        self.register_outputs({"name": self.group.name})

    def _make_template(
        self, inputs: GroupInputs, place: Place, user_data: str
    ) -> ec2.LaunchTemplate:
        return ec2.LaunchTemplate(
            "template",
            name=self.name,
            update_default_version=True,
            image_id=inputs.image,
            instance_type=inputs.instance_type,
            user_data=base64.b64encode(user_data.encode()).decode(),
            iam_instance_profile=ec2.LaunchTemplateIamInstanceProfileArgs(
                name=place.instance_profile
            ),
            instance_initiated_shutdown_behavior="terminate",
            metadata_options=metadata_options(),
            network_interfaces=[private_interface(place.security_group_id)],
            block_device_mappings=[
                encrypted_disk(inputs.disk_device, inputs.disk_gb, place.disk_key_arn)
            ],
            tag_specifications=[
                ec2.LaunchTemplateTagSpecificationArgs(resource_type=resource, tags=place.tags)
                for resource in TAGGED_AT_LAUNCH
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _make_group(
        self, inputs: GroupInputs, numbers: Capacity, place: Place
    ) -> autoscaling.Group:
        version = self.template.latest_version.apply(str)
        is_spot = inputs.market == "spot"
        return autoscaling.Group(
            "group",
            name=self.name,
            min_size=0,  # the service holds the minimum: a cloud's minimum would refuse a drain
            max_size=numbers.maximum,
            desired_capacity=numbers.wanted,
            vpc_zone_identifiers=place.subnet_ids,
            launch_template=None
            if is_spot
            else autoscaling.GroupLaunchTemplateArgs(id=self.template.id, version=version),
            mixed_instances_policy=spot_only(inputs, self.template.id, version)
            if is_spot
            else None,
            protect_from_scale_in=True,
            suspended_processes=list(SUSPENDED),
            capacity_rebalance=False,
            health_check_type="EC2",
            wait_for_capacity_timeout="0",  # an `up` ends when the wish is written
            ignore_failed_scaling_activities=True,
            tags=place.tags.apply(_group_tags),
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,
                # On the child: on a component it does nothing.
                ignore_changes=None if numbers.is_ours else ["desiredCapacity"],
            ),
        )


def spot_only(
    inputs: GroupInputs, template_id: pulumi.Input[str], version: pulumi.Input[str]
) -> autoscaling.GroupMixedInstancesPolicyArgs:
    """Ask for spot machines of the one type; on-demand is another group."""
    price = inputs.max_price_usd
    return autoscaling.GroupMixedInstancesPolicyArgs(
        instances_distribution=autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs(
            on_demand_base_capacity=0,
            on_demand_percentage_above_base_capacity=0,
            spot_allocation_strategy="price-capacity-optimized",
            spot_max_price=None if price is None else f"{price:.6f}".rstrip("0").rstrip("."),
        ),
        launch_template=autoscaling.GroupMixedInstancesPolicyLaunchTemplateArgs(
            launch_template_specification=(
                autoscaling.GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs(
                    launch_template_id=template_id, version=version
                )
            ),
            overrides=[
                autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs(
                    instance_type=inputs.instance_type
                )
            ],
        ),
    )


def _group_tags(tags: Mapping[str, str]) -> list[autoscaling.GroupTagArgs]:
    # The provider's default tags do not reach Auto Scaling groups.
    return [
        autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
        for key, value in sorted(tags.items())
    ]
