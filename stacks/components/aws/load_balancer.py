"""The one way in: TLS on 443, live pages and claims to `streams`, the rest to `web`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import lb

from stacks import names
from stacks.components.aws.documents import resources
from stacks.components.aws.documents.common import Place
from stacks.components.aws.parts import Component
from stacks.components.aws.stores import BucketSettings, Store

WEB_PORT = 8000
STREAMS_PORT = 8001
STREAM_PATHS = ("/api/v0/agents/claim/", "/*/log/stream", "/*/events/stream")
"""What is not answered at once. A rule takes five patterns at most."""
IDLE_S = 300
"""Longer than any claim waits and any page is silent."""
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"


@dataclass(frozen=True, slots=True)
class Front:
    """Where the load balancer stands and what it shows."""

    vpc_id: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    group_id: pulumi.Input[str]
    certificate_arn: str
    access_log_days: int


class LoadBalancer(Component):
    """An application load balancer. Plain HTTP is not listened to at all."""

    def __init__(self, place: Place, front: Front, opts: pulumi.ResourceOptions) -> None:
        super().__init__("LoadBalancer", place, opts)
        logs = self._logs(front.access_log_days)
        self.balancer = lb.LoadBalancer(
            "web",
            name=names.physical(place.stack, "web", limit=32),
            load_balancer_type="application",
            internal=False,
            subnets=front.subnet_ids,
            security_groups=[front.group_id],
            idle_timeout=IDLE_S,
            drop_invalid_header_fields=True,
            enable_deletion_protection=place.is_kept,
            access_logs={"bucket": logs.bucket.bucket, "enabled": True},
            opts=self.child(depends_on=[logs]),
        )
        self.web = self._target("web", WEB_PORT, front.vpc_id)
        self.streams = self._target("streams", STREAMS_PORT, front.vpc_id)
        listener = lb.Listener(
            "tls",
            load_balancer_arn=self.balancer.arn,
            port=443,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificate_arn=front.certificate_arn,
            default_actions=[{"type": "forward", "target_group_arn": self.web.arn}],
            opts=self.child(),
        )
        lb.ListenerRule(
            "streams",
            listener_arn=listener.arn,
            priority=10,
            actions=[{"type": "forward", "target_group_arn": self.streams.arn}],
            conditions=[{"path_pattern": {"values": list(STREAM_PATHS)}}],
            opts=self.child(),
        )
        self.register_outputs({})

    def _logs(self, days: int) -> Store:
        name = self.place.bucket("access-logs")
        # Load balancers write to buckets with S3's own key only.
        settings = BucketSettings(
            "access-logs",
            expire_days=days,
            statements=[resources.access_logs(self.place, name)],
        )
        return Store(self.place, settings, self.child())

    def _target(self, part: str, port: int, vpc_id: pulumi.Input[str]) -> lb.TargetGroup:
        return lb.TargetGroup(
            part,
            name=names.physical(self.place.stack, part, limit=32),
            vpc_id=vpc_id,
            port=port,
            protocol="HTTP",
            target_type="instance",
            deregistration_delay=30,
            # Any answer that is not an error: the pages lead to the sign-in page, the streams
            # know no such path.
            health_check={"path": "/", "matcher": "200-404", "interval": 15},
            opts=self.child(),
        )
