"""How a base stack's config becomes its components on AWS."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_aws import cloudwatch

from stacks import names
from stacks.components.aws.documents.common import Place
from stacks.components.aws.flow_log import FlowLog
from stacks.components.aws.identity import Identity, Rights
from stacks.components.aws.keys import Keys
from stacks.components.aws.network import Network, NetworkSettings
from stacks.components.aws.notices import ReclaimNotices
from stacks.components.aws.registry import Registry
from stacks.components.aws.stores import BucketSettings, Stores
from stacks.inputs import BaseInputs


def network(place: Place, inputs: BaseInputs, opts: pulumi.ResourceOptions) -> Network:
    """Make the network and its log."""
    made = Network(
        place,
        NetworkSettings(
            cidr=inputs.cidr,
            zones=inputs.zones,
            nat_per_zone=inputs.nat_per_zone,
            interface_endpoints=inputs.interface_endpoints,
        ),
        opts,
    )
    FlowLog(place, made.vpc.id, inputs.flow_log_days, opts)
    return made


def keys(place: Place, opts: pulumi.ResourceOptions) -> Keys:
    """Make the keys."""
    return Keys(place, opts)


def stores(
    place: Place,
    inputs: BaseInputs,
    key_arn: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> Stores:
    """Make the four buckets: artifacts, code, logs, releases."""
    origin = inputs.web_origin
    return Stores(
        place,
        [
            BucketSettings("artifacts", is_versioned=True, web_origin=origin, key_arn=key_arn),
            BucketSettings("code", expire_days=inputs.code_days, key_arn=key_arn),
            BucketSettings("logs", expire_days=inputs.log_days, key_arn=key_arn),
            BucketSettings("releases", is_versioned=True, key_arn=key_arn),
        ],
        opts,
    )


def registry(
    place: Place,
    inputs: BaseInputs,
    key_arn: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> Registry:
    """Make the repositories."""
    made = Registry(place, inputs.repositories, key_arn, opts)
    if inputs.pull_through_cache:
        made.mirror()
    return made


def identity(
    place: Place, inputs: BaseInputs, buckets: Sequence[str], opts: pulumi.ResourceOptions
) -> Identity:
    """Make the roles, and the workers' log group where it is wanted."""
    log_group = ""
    if inputs.worker_logs:
        log_group = f"/talkoot/{names.physical(place.stack, 'workers')}"
        cloudwatch.LogGroup(
            "workers", name=log_group, retention_in_days=inputs.flow_log_days, opts=opts
        )
    rights = Rights(
        buckets=buckets,
        log_group=log_group,
        may_cache=inputs.pull_through_cache,
        control_principals=inputs.control_principals,
        state_bucket=inputs.state_bucket,
    )
    return Identity(place, rights, opts)


def notices(place: Place, opts: pulumi.ResourceOptions) -> ReclaimNotices:
    """Make the queue of spot reclaim notices."""
    return ReclaimNotices(place, opts)


def image(inputs: BaseInputs, opts: pulumi.ResourceOptions) -> pulumi.Input[str]:
    """Look up the newest machine image, to be pinned in groups' config; "" when not wanted."""
    if not inputs.image_parameter:
        return ""
    from pulumi_aws import ssm

    found = ssm.get_parameter_output(
        name=inputs.image_parameter, opts=pulumi.InvokeOutputOptions(provider=opts.provider)
    )
    return pulumi.Output.unsecret(found.value)
