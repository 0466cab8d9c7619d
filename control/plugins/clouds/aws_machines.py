"""What EC2 says of a machine, as our Instance. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from control.domain.cloud_ports import Instance
from stacks.inputs import TAG_GROUP, TAG_INSTALLATION

LISTED = ("pending", "running", "shutting-down", "stopping", "stopped")
"""Every state of EC2 but terminated: a stopped machine costs money too."""

_STATES = {"pending": "pending", "running": "running"}
_VERSION_TAG = "aws:ec2launchtemplate:version"


def filters(installation: str) -> list[dict[str, Any]]:
    """Ask for the machines of an installation that belong to some group."""
    return [
        {"Name": f"tag:{TAG_INSTALLATION}", "Values": [installation]},
        {"Name": "tag-key", "Values": [TAG_GROUP]},
        {"Name": "instance-state-name", "Values": list(LISTED)},
    ]


def machines_in(pages: Iterable[Mapping[str, Any]], region: str) -> list[Instance]:
    """Read the pages of DescribeInstances, oldest machine first."""
    found = [
        _machine(one, region)
        for page in pages
        for reservation in page.get("Reservations", ())
        for one in reservation.get("Instances", ())
    ]
    return sorted(found, key=lambda one: (one.launched_at, one.id))


def _machine(one: Mapping[str, Any], region: str) -> Instance:
    tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}
    launched_at: datetime = one["LaunchTime"]
    address = one.get("PrivateIpAddress")
    return Instance(
        id=one["InstanceId"],
        group=tags.get(TAG_GROUP, ""),
        region=region,
        zone=one.get("Placement", {}).get("AvailabilityZone", ""),
        instance_type=one.get("InstanceType", ""),
        market="spot" if one.get("InstanceLifecycle") == "spot" else "on-demand",
        state=_STATES.get(one.get("State", {}).get("Name", ""), "stopping"),
        launched_at=launched_at,
        addresses=(address,) if address else (),
        image=one.get("ImageId", ""),
        config_version=tags.get(_VERSION_TAG, ""),
    )
