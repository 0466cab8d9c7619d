"""What every machine of ours has, workers and control hosts alike: hardened, private, encrypted."""

from __future__ import annotations

import pulumi
from pulumi_aws import ec2


def metadata_options() -> ec2.LaunchTemplateMetadataOptionsArgs:
    """Harden the metadata service: tokens only, and one hop keeps containers off the role."""
    return ec2.LaunchTemplateMetadataOptionsArgs(
        http_endpoint="enabled",
        http_tokens="required",
        http_put_response_hop_limit=1,
        instance_metadata_tags="enabled",
    )


def private_interface(
    security_group_id: pulumi.Input[str],
) -> ec2.LaunchTemplateNetworkInterfaceArgs:
    """Attach the machine to its subnet without a public address, whatever the subnet says."""
    return ec2.LaunchTemplateNetworkInterfaceArgs(
        device_index=0,
        associate_public_ip_address="false",
        delete_on_termination="true",
        security_groups=[security_group_id],
    )


def encrypted_disk(
    device: str, size_gb: int, key_arn: pulumi.Input[str]
) -> ec2.LaunchTemplateBlockDeviceMappingArgs:
    """Give the machine its one disk, gone with it."""
    return ec2.LaunchTemplateBlockDeviceMappingArgs(
        device_name=device,
        ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
            volume_size=size_gb,
            volume_type="gp3",
            encrypted="true",
            kms_key_id=key_arn,
            delete_on_termination="true",
        ),
    )
