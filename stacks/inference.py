"""The program of the inference cluster: managed Kubernetes for deployments."""

from __future__ import annotations

import pulumi

from stacks import outputs
from stacks.inputs import InferenceInputs, InferenceOutputs
from stacks.outputs import Reference
from stacks.settings import Stack


def build(stack: Stack[InferenceInputs]) -> InferenceOutputs:
    """Register the cluster."""
    return _BUILDERS[stack.name.cloud](stack, Reference(stack.inputs.base_stack))


def _aws(stack: Stack[InferenceInputs], base: Reference) -> InferenceOutputs:
    from stacks.components.aws.cluster import MODEL_ACCOUNT, Cluster
    from stacks.components.aws.documents.common import Place
    from stacks.components.aws.parts import Inside
    from stacks.components.aws.provider import make_provider

    inputs = stack.inputs
    place = Place(stack.name, inputs.account, is_kept=not inputs.deletable)
    tags = base.tags(stack.name, inputs.owner)
    opts = pulumi.ResourceOptions(provider=make_provider(stack.name, tags, account=inputs.account))
    made = Cluster(
        place,
        inputs,
        Inside(base.require("worker_subnet_ids"), "", base.require("data_key_arn")),
        tags,
        opts,
    )
    # The control service deploys in its one namespace; nodes it may read (infrastructure.md 2.5).
    control = base.require("control_role_arn")
    made.let_in("control", control, "AmazonEKSAdminPolicy", inputs.namespace)
    for number, principal in enumerate(inputs.administrator_arns):
        made.let_in(f"administrator-{number}", principal, "AmazonEKSClusterAdminPolicy", "")
    model = made.pod_role("model", inputs.namespace, MODEL_ACCOUNT)
    return outputs.of(
        InferenceOutputs,
        cloud="aws",
        region=stack.name.region,
        cluster=made.cluster.name,
        endpoint=made.cluster.endpoint,
        certificate_authority=made.cluster.certificate_authority.data,
        namespace=inputs.namespace,
        model_role_arn=model.role_arn,
    )


_BUILDERS = {"aws": _aws}
