"""An account on a fake AWS: groups and machines as a stack of ours would make them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from control.domain.cloud_ports import GroupRef
from stacks.inputs import TAG_GROUP, TAG_INSTALLATION, reclaim_queue_name

IMAGE = "ami-12c6146b"  # of moto's own catalogue


class Account:
    """One installation's part of an account, with a queue of reclaim notices.

    `settle` waits, where machines take time, until so many of a group run.
    """

    def __init__(
        self,
        endpoint: str,
        keys: tuple[str, str],
        region: str,
        settle: Callable[[str, int], object] = lambda group, count: None,
    ) -> None:
        self.endpoint = endpoint
        self.region = region
        self.installation = f"t-{secrets.token_hex(4)}"
        self._keys = keys
        self._settle = settle
        self._clients: dict[str, Any] = {}
        self._subnets = ""

    @classmethod
    @contextmanager
    def open(cls, *given: Any, **options: Any) -> Iterator[Account]:
        """Begin with nothing but a network and the queue; close every connection in the end."""
        account = cls(*given, **options)
        account.client("sqs").create_queue(QueueName=reclaim_queue_name(account.installation))
        account._make_network()
        try:
            yield account
        finally:
            for client in account._clients.values():
                client.close()

    def _make_network(self) -> None:
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        made = [
            ec2.create_subnet(
                VpcId=vpc,
                CidrBlock=f"10.0.{number * 16}.0/20",
                AvailabilityZone=f"{self.region}{zone}",
            )["Subnet"]["SubnetId"]
            for number, zone in enumerate("abc")
        ]
        self._subnets = ",".join(made)

    def options(self) -> dict[str, str]:
        """Give what the adapter is built with."""
        return {
            "installation": self.installation,
            "AWS_ACCESS_KEY_ID": self._keys[0],
            "AWS_SECRET_ACCESS_KEY": self._keys[1],
        }

    def client(self, service: str) -> Any:
        """Give a client of its own for a service."""
        if service not in self._clients:
            make: Any = boto3.client
            self._clients[service] = make(
                service,
                endpoint_url=self.endpoint,
                region_name=self.region,
                aws_access_key_id=self._keys[0],
                aws_secret_access_key=self._keys[1],
            )
        return self._clients[service]

    def tags(self, group: str) -> list[dict[str, str]]:
        """Give a machine's tags; a host of no group has the installation's only."""
        pairs = {TAG_INSTALLATION: self.installation} | ({TAG_GROUP: group} if group else {})
        return [{"Key": key, "Value": value} for key, value in pairs.items()]

    def make_group(self, *, minimum: int, maximum: int, market: str = "") -> GroupRef:
        """Make a launch template and an Auto Scaling group."""
        name = f"group-{secrets.token_hex(4)}"
        template = self.client("ec2").create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData={
                "ImageId": IMAGE,
                "InstanceType": "c5.large",
                **({"InstanceMarketOptions": {"MarketType": market}} if market else {}),
                "TagSpecifications": [{"ResourceType": "instance", "Tags": self.tags(name)}],
            },
        )["LaunchTemplate"]
        self.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=f"asg-{name}",
            LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"], "Version": "1"},
            MinSize=minimum,
            MaxSize=maximum,
            DesiredCapacity=minimum,
            VPCZoneIdentifier=self._subnets,
            NewInstancesProtectedFromScaleIn=True,
            Tags=[one | {"PropagateAtLaunch": True} for one in self.tags(name)],
        )
        self._settle(f"asg-{name}", minimum)
        return GroupRef(name, self.region, f"asg-{name}")

    def set_desired(self, group: GroupRef, count: int) -> None:
        """Do what `up` does, and wait for the machines where they take time."""
        self.want(group, count)
        self._settle(group.resource, count)

    def want(self, group: GroupRef, count: int) -> None:
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

    def send_reclaims_of_ec2(self) -> None:
        """Let EC2's own warnings come to the queue, as the base stack does."""
        url = self._queue()
        arn = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        pattern = {
            "source": ["aws.ec2"],
            "detail-type": ["EC2 Spot Instance Interruption Warning"],
        }
        events, name = self.client("events"), f"reclaims-{self.installation}"
        events.put_rule(Name=name, EventPattern=json.dumps(pattern), State="ENABLED")
        events.put_targets(
            Rule=name, Targets=[{"Id": "queue", "Arn": arn["Attributes"]["QueueArn"]}]
        )

    def _queue(self) -> str:
        name = reclaim_queue_name(self.installation)
        return str(self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])
