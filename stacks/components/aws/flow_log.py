"""Who talked to whom in the network, and what was refused."""

from __future__ import annotations

import pulumi
from pulumi_aws import cloudwatch, ec2, iam

from stacks import names
from stacks.components.aws.documents import resources
from stacks.components.aws.documents.common import Place, role_name, trust
from stacks.components.aws.parts import Component


class FlowLog(Component):
    """The network's log in a group of its own, and the one role that may write it."""

    def __init__(
        self, place: Place, vpc_id: pulumi.Input[str], days: int, opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("FlowLog", place, opts)
        name = f"/talkoot/{names.physical(place.stack, 'flow')}"
        group = cloudwatch.LogGroup("flow", name=name, retention_in_days=days, opts=self.child())
        role = iam.Role(
            "flow",
            name=role_name(place.stack, "flow"),
            description="Writes the network's log",
            assume_role_policy=trust("vpc-flow-logs.amazonaws.com"),
            opts=self.child(),
        )
        iam.RolePolicy(
            "flow", role=role.id, policy=resources.flow_logs(place, name), opts=self.child()
        )
        ec2.FlowLog(
            "flow",
            vpc_id=vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=600,
            opts=self.child(),
        )
        self.register_outputs({})
