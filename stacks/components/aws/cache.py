"""The queue server: Valkey with TLS and a password, which refuses writes rather than forgets."""

from __future__ import annotations

import pulumi
from pulumi_aws import elasticache, secretsmanager

from stacks import names
from stacks.components.aws.documents.common import Place
from stacks.components.aws.parts import Component, Inside
from stacks.inputs import ControlInputs

PORT = 6379


class QueueCache(Component):
    """One writer and, in two zones, one that takes over. All in it can be lost (ARCH-3)."""

    def __init__(
        self,
        place: Place,
        inputs: ControlInputs,
        inside: Inside,
        password: pulumi.Output[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("QueueCache", place, opts)
        name = names.physical(place.stack, "queue", limit=40)
        subnets = elasticache.SubnetGroup(
            "queue",
            name=name,
            description="Private subnets for Talkoot's queue",
            subnet_ids=inside.subnet_ids,
            opts=self.child(),
        )
        parameters = elasticache.ParameterGroup(
            "queue",
            name=f"{name}-{inputs.queue_version[0]}",
            family=f"valkey{inputs.queue_version[0]}",
            description="A queue must not evict",
            parameters=[{"name": "maxmemory-policy", "value": "noeviction"}],
            opts=self.child(),
        )
        self.group = elasticache.ReplicationGroup(
            "queue",
            replication_group_id=name,
            description="Talkoot's queue",
            engine="valkey",
            engine_version=inputs.queue_version,
            node_type=inputs.queue_class,
            num_cache_clusters=2 if inputs.multi_zone else 1,
            automatic_failover_enabled=inputs.multi_zone,
            multi_az_enabled=inputs.multi_zone,
            subnet_group_name=subnets.name,
            security_group_ids=[inside.group_id],
            parameter_group_name=parameters.name,
            port=PORT,
            at_rest_encryption_enabled=True,
            kms_key_id=inside.key_arn,
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            auth_token=password,
            auto_minor_version_upgrade=True,
            opts=self.child(),
        )
        self.secret = secretsmanager.Secret(
            "queue",
            name=queue_secret_name(place),
            description="The address of Talkoot's queue, with its password",
            kms_key_id=inside.key_arn,
            recovery_window_in_days=7,
            opts=self.child(),
        )
        secretsmanager.SecretVersion(
            "queue",
            secret_id=self.secret.id,
            secret_string=pulumi.Output.format(
                "rediss://:{0}@{1}:{2}/0", password, self.group.primary_endpoint_address, PORT
            ),
            opts=self.child(),
        )
        self.register_outputs({})


def queue_secret_name(place: Place) -> str:
    """Name the queue's secret; the rights to read it hang on it."""
    return names.physical(place.stack, "queue-url")
