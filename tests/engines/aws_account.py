"""An account on the moto server: groups and machines as a stack of ours would make them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from control.domain.cloud_ports import GroupRef
from stacks.inputs import TAG_GROUP, TAG_INSTALLATION, reclaim_queue_name
from tests.engines.s3 import S3Server

IMAGE = "ami-12c6146b"  # of moto's own catalogue


class Account:
    """One installation's part of the account, with a queue of reclaim notices."""

    def __init__(self, server: S3Server, region: str, installation: str) -> None:
        self.endpoint = server.endpoint
        self.region = region
        self.installation = installation
        self._server = server
        self._clients: dict[str, Any] = {}

    @classmethod
    @contextmanager
    def open(cls, server: S3Server, region: str, installation: str) -> Iterator[Account]:
        """Begin with nothing but the queue; close every connection in the end."""
        account = cls(server, region, installation)
        account.client("sqs").create_queue(QueueName=reclaim_queue_name(installation))
        try:
            yield account
        finally:
            for client in account._clients.values():
                client.close()

    def options(self) -> dict[str, str]:
        """Give what the adapter is built with."""
        return {
            "installation": self.installation,
            "AWS_ACCESS_KEY_ID": self._server.access_key,
            "AWS_SECRET_ACCESS_KEY": self._server.secret_key,
        }

    def client(self, service: str) -> Any:
        """Give a client of its own for a service."""
        if service not in self._clients:
            make: Any = boto3.client
            self._clients[service] = make(
                service,
                endpoint_url=self.endpoint,
                region_name=self.region,
                aws_access_key_id=self._server.access_key,
                aws_secret_access_key=self._server.secret_key,
            )
        return self._clients[service]

    def tags(self, group: str) -> list[dict[str, str]]:
        """Give a machine's tags; a host of no group has the installation's only."""
        pairs = {TAG_INSTALLATION: self.installation} | ({TAG_GROUP: group} if group else {})
        return [{"Key": key, "Value": value} for key, value in pairs.items()]

    def make_group(self, *, minimum: int, maximum: int) -> GroupRef:
        """Make a launch template and an Auto Scaling group."""
        name = f"group-{secrets.token_hex(4)}"
        template = self.client("ec2").create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData={
                "ImageId": IMAGE,
                "InstanceType": "c5.large",
                "TagSpecifications": [{"ResourceType": "instance", "Tags": self.tags(name)}],
            },
        )["LaunchTemplate"]
        self.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=f"asg-{name}",
            LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"], "Version": "1"},
            MinSize=minimum,
            MaxSize=maximum,
            DesiredCapacity=minimum,
            AvailabilityZones=[f"{self.region}a"],
            NewInstancesProtectedFromScaleIn=True,
            Tags=[one | {"PropagateAtLaunch": True} for one in self.tags(name)],
        )
        return GroupRef(name, self.region, f"asg-{name}")

    def set_desired(self, group: GroupRef, count: int) -> None:
        """Do what `up` does."""
        self.client("autoscaling").set_desired_capacity(
            AutoScalingGroupName=group.resource, DesiredCapacity=count
        )

    def suspend_terminate(self, group: GroupRef) -> None:
        """Forbid the group to end machines."""
        self.client("autoscaling").suspend_processes(
            AutoScalingGroupName=group.resource, ScalingProcesses=["Terminate"]
        )

    def launch(self, group: str) -> str:
        """Start a machine that no Auto Scaling group holds."""
        started = self.client("ec2").run_instances(
            ImageId=IMAGE,
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[{"ResourceType": "instance", "Tags": self.tags(group)}],
        )
        return str(started["Instances"][0]["InstanceId"])

    def send_notice(self, body: str) -> None:
        """Put a message into the queue of reclaim notices."""
        self.client("sqs").send_message(QueueUrl=self._queue(), MessageBody=body)

    def waiting_notices(self) -> int:
        """Count messages that are there, seen or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client("sqs").get_queue_attributes(
            QueueUrl=self._queue(), AttributeNames=names
        )["Attributes"]
        return sum(int(found[name]) for name in names)

    def _queue(self) -> str:
        name = reclaim_queue_name(self.installation)
        return str(self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])
