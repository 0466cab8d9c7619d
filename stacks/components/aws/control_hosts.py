"""The machines of the control service: private, behind the load balancer, all alike."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import autoscaling, ec2

from stacks import names
from stacks.components.aws.documents.common import Place
from stacks.components.aws.machines import encrypted_disk, metadata_options, private_interface
from stacks.components.aws.parts import Component
from stacks.inputs import ControlInputs


@dataclass(frozen=True, slots=True)
class HostPlace:
    """Where the hosts stand and what they carry."""

    subnet_ids: pulumi.Input[Sequence[str]]
    group_id: pulumi.Input[str]
    instance_profile: pulumi.Input[str]
    disk_key_arn: pulumi.Input[str]
    target_group_arns: Sequence[pulumi.Input[str]]
    tags: pulumi.Output[Mapping[str, str]]


class ControlHosts(Component):
    """A fixed number of hosts; one that dies is made again by the cloud.

    What runs on them is brought by the image or by the roles; health is therefore the machine's,
    not the service's, or a host would be replaced before it is installed.
    """

    def __init__(
        self,
        place: Place,
        inputs: ControlInputs,
        where: HostPlace,
        user_data: pulumi.Output[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("ControlHosts", place, opts)
        self.name = names.physical(place.stack, "control")
        template = ec2.LaunchTemplate(
            "control",
            name=self.name,
            update_default_version=True,
            image_id=inputs.image,
            instance_type=inputs.instance_type,
            user_data=user_data.apply(lambda text: base64.b64encode(text.encode()).decode()),
            iam_instance_profile={"name": where.instance_profile},
            metadata_options=metadata_options(),
            network_interfaces=[private_interface(where.group_id)],
            block_device_mappings=[
                encrypted_disk(inputs.disk_device, inputs.disk_gb, where.disk_key_arn)
            ],
            tag_specifications=[
                {"resource_type": resource, "tags": where.tags}
                for resource in ("instance", "volume", "network-interface")
            ],
            opts=self.child(),
        )
        self.group = autoscaling.Group(
            "control",
            name=self.name,
            min_size=inputs.hosts,
            max_size=inputs.hosts + 1,  # room for a new one before an old one goes
            desired_capacity=inputs.hosts,
            vpc_zone_identifiers=where.subnet_ids,
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            target_group_arns=list(where.target_group_arns),
            health_check_type="EC2",
            wait_for_capacity_timeout="0",
            tags=where.tags.apply(_group_tags),
            opts=self.child(delete_before_replace=True),
        )
        self.register_outputs({})


def _group_tags(tags: Mapping[str, str]) -> list[autoscaling.GroupTagArgs]:
    return [
        autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
        for key, value in sorted(tags.items())
    ]
