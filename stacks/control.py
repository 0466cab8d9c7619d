"""The program of the control service's own machines: database, queue, hosts, load balancer."""

from __future__ import annotations

import pulumi

from stacks import outputs
from stacks.inputs import PROJECT, ControlInputs, ControlOutputs
from stacks.outputs import Reference
from stacks.settings import Stack


def build(stack: Stack[ControlInputs]) -> ControlOutputs:
    """Register the control service's resources."""
    return _BUILDERS[stack.name.cloud](stack, Reference(stack.inputs.base_stack))


def _aws(stack: Stack[ControlInputs], base: Reference) -> ControlOutputs:
    from stacks.components.aws import control as parts
    from stacks.components.aws.cache import QueueCache
    from stacks.components.aws.control_hosts import ControlHosts, HostPlace
    from stacks.components.aws.database import Database
    from stacks.components.aws.documents.common import Place
    from stacks.components.aws.load_balancer import Front, LoadBalancer
    from stacks.components.aws.parts import Inside
    from stacks.components.aws.provider import make_provider

    inputs = stack.inputs
    url = f"https://{inputs.host}"
    place = Place(stack.name, inputs.account, is_kept=not inputs.deletable)
    tags = base.tags(stack.name, inputs.owner)
    opts = pulumi.ResourceOptions(provider=make_provider(stack.name, tags, account=inputs.account))
    private = base.require("worker_subnet_ids")
    data_key = base.require("data_key_arn")
    doors = parts.Doors(place, base.require("network_id"), opts)
    servers = parts.Servers(
        Database(place, inputs, Inside(private, doors.database.id, data_key), opts),
        QueueCache(
            place,
            inputs,
            Inside(private, doors.queue.id, data_key),
            pulumi.Config(PROJECT).require_secret("queuePassword"),
            opts,
        ),
    )
    parts.secrets_policy(place, base.require("control_role"), opts)
    front = LoadBalancer(
        place,
        Front(
            vpc_id=base.require("network_id"),
            subnet_ids=base.require("public_subnet_ids"),
            group_id=doors.front.id,
            certificate_arn=inputs.certificate_arn,
            access_log_days=inputs.access_log_days,
        ),
        opts,
    )
    hosts = ControlHosts(
        place,
        inputs,
        HostPlace(
            subnet_ids=private,
            group_id=doors.hosts.id,
            instance_profile=base.require("control_instance_profile"),
            disk_key_arn=base.require("disk_key_arn"),
            target_group_arns=[front.web.arn, front.streams.arn],
            tags=tags,
        ),
        parts.user_data(place, base, servers, url),
        opts,
    )
    return outputs.of(
        ControlOutputs,
        cloud="aws",
        region=stack.name.region,
        url=url,
        load_balancer_dns=front.balancer.dns_name,
        hosts_resource=hosts.name,
        database_endpoint=servers.database.instance.endpoint,
        database_secret_arn=servers.database.secret_arn,
        queue_endpoint=servers.queue.group.primary_endpoint_address,
        queue_secret_arn=servers.queue.secret.arn,
    )


_BUILDERS = {"aws": _aws}
