"""The program of a region's base: network, keys, buckets, registry, roles, reclaim notices."""

from __future__ import annotations

import pulumi

from stacks import names, outputs
from stacks.inputs import BaseInputs, BaseOutputs
from stacks.settings import Stack


def build(stack: Stack[BaseInputs]) -> BaseOutputs:
    """Register the base of a region."""
    return _BUILDERS[stack.name.cloud](stack)


def _aws(stack: Stack[BaseInputs]) -> BaseOutputs:
    from stacks.components.aws import base as parts
    from stacks.components.aws.documents.common import Place
    from stacks.components.aws.provider import make_provider

    inputs = stack.inputs
    place = Place(stack.name, inputs.account, inputs.installation, not inputs.deletable)
    tags = names.all_tags(stack.name, inputs.installation, inputs.owner)
    opts = pulumi.ResourceOptions(provider=make_provider(stack.name, tags, account=inputs.account))
    network = parts.network(place, inputs, opts)
    keys = parts.keys(place, opts)
    stores = parts.stores(place, inputs, keys.data.arn, opts)
    registry = parts.registry(place, inputs, keys.data.arn, opts)
    identity = parts.identity(place, inputs, list(stores.names.values()), opts)
    notices = parts.notices(place, opts)
    return outputs.of(
        BaseOutputs,
        cloud="aws",
        region=stack.name.region,
        installation=inputs.installation,
        account=inputs.account,
        network_id=network.vpc.id,
        network_cidr=inputs.cidr,
        public_subnet_ids=[subnet.id for subnet in network.public],
        worker_subnet_ids=[subnet.id for subnet in network.private],
        worker_security_group_id=network.workers.id,
        worker_role_arn=identity.worker.arn,
        worker_instance_profile=identity.worker_profile.name,
        control_role=identity.control.name,
        control_role_arn=identity.control.arn,
        control_instance_profile=identity.control_profile.name,
        pulumi_role_arn=identity.pulumi.arn,
        disk_key_arn=keys.disks.arn,
        data_key_arn=keys.data.arn,
        **{f"{part}_bucket": name for part, name in stores.names.items()},
        repository_urls=[repository.repository_url for repository in registry.repositories],
        reclaim_queue_url=notices.queue.url,
        image=parts.image(inputs, opts),
    )


_BUILDERS = {"aws": _aws}
