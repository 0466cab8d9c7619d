"""The queue of spot reclaim notices: for a machine that cannot tell us itself any more."""

from __future__ import annotations

import json

import pulumi
from pulumi_aws import cloudwatch, sqs

from stacks import names
from stacks.components.aws.documents import resources
from stacks.components.aws.documents.common import Place
from stacks.components.aws.parts import Component
from stacks.inputs import reclaim_queue_name

EVENTS = {
    "interruption": "EC2 Spot Instance Interruption Warning",
    "rebalance": "EC2 Instance Rebalance Recommendation",
}
KEEP_S = 600
"""A notice is about the next two minutes."""


class ReclaimNotices(Component):
    """Rules that send EC2's warnings of a region to one queue, which the control service reads."""

    def __init__(self, place: Place, opts: pulumi.ResourceOptions) -> None:
        super().__init__("ReclaimNotices", place, opts)
        name = reclaim_queue_name(place.installation)
        self.queue = sqs.Queue(
            "reclaims",
            name=name,
            message_retention_seconds=KEEP_S,
            receive_wait_time_seconds=0,
            sqs_managed_sse_enabled=True,
            opts=self.child(),
        )
        rules = {part: names.physical(place.stack, part, limit=64) for part in EVENTS}
        policy = sqs.QueuePolicy(
            "reclaims",
            queue_url=self.queue.url,
            policy=resources.reclaim_queue(place, name, list(rules.values())),
            opts=self.child(),
        )
        for part, event in EVENTS.items():
            rule = cloudwatch.EventRule(
                part,
                name=rules[part],
                description=f"{event}, for Talkoot",
                event_pattern=json.dumps({"source": ["aws.ec2"], "detail-type": [event]}),
                opts=self.child(),
            )
            cloudwatch.EventTarget(
                part,
                rule=rule.name,
                arn=self.queue.arn,
                opts=self.child(depends_on=[policy]),
            )
        self.register_outputs({})
