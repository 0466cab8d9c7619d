"""The managed Kubernetes cluster of deployments: its control plane, nodes, add-ons, and who may.

What lives in the cluster is no part of this stack: a provider whose cluster is not there yet makes
previews useless (infrastructure.md 1.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_aws import cloudwatch, ec2, eks, iam

from stacks import names
from stacks.components.aws.documents.common import Place, document, role_name, trust
from stacks.components.aws.machines import metadata_options
from stacks.components.aws.parts import Component, Inside
from stacks.inputs import InferenceInputs

MANAGED = "arn:aws:iam::aws:policy/"
ACCESS = "arn:aws:eks::aws:cluster-access-policy/"
NODE_RIGHTS = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
LOGS = ("api", "audit", "authenticator")
MODEL_ACCOUNT = "talkoot-model"
"""The service account that deployed models run as."""


class Cluster(Component):
    """A cluster with a private address, secrets under our key, and access by entries alone."""

    def __init__(
        self,
        place: Place,
        inputs: InferenceInputs,
        inside: Inside,
        tags: pulumi.Input[Mapping[str, str]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("Cluster", place, opts)
        self.tags = tags
        self.inputs = inputs
        self.name = names.physical(place.stack, "inference", limit=100)
        cloudwatch.LogGroup(
            "cluster",
            name=f"/aws/eks/{self.name}/cluster",
            retention_in_days=inputs.log_days,
            opts=self.child(),
        )
        self.cluster = eks.Cluster(
            "cluster",
            name=self.name,
            version=inputs.version,
            role_arn=self._role("cluster", "eks.amazonaws.com", ["AmazonEKSClusterPolicy"]).arn,
            access_config={
                "authentication_mode": "API",
                "bootstrap_cluster_creator_admin_permissions": False,
            },
            encryption_config={
                "provider": {"key_arn": inside.key_arn},
                "resources": ["secrets"],
            },
            vpc_config={
                "subnet_ids": inside.subnet_ids,
                "endpoint_private_access": True,
                "endpoint_public_access": inputs.public_api,
                "public_access_cidrs": list(inputs.public_api_cidrs) or None,
            },
            enabled_cluster_log_types=list(LOGS),
            deletion_protection=place.is_kept,
            opts=self.child(protect=place.is_kept),
        )
        self._add_ons_before_nodes()
        self.nodes = self._nodes(inside)
        self._addon("coredns", after=[self.nodes])
        self.register_outputs({})

    def _role(self, part: str, service: str, rights: Sequence[str]) -> iam.Role:
        role = iam.Role(
            part,
            name=role_name(self.place.stack, f"inference-{part}"),
            assume_role_policy=trust(service),
            opts=self.child(),
        )
        for right in rights:
            iam.RolePolicyAttachment(
                f"{part}-{right}",
                role=role.name,
                policy_arn=f"{MANAGED}{right}",
                opts=self.child(),
            )
        return role

    def _add_ons_before_nodes(self) -> None:
        agent = self._addon("eks-pod-identity-agent")
        self._addon("kube-proxy")
        network = self.pod_role("network", "kube-system", "aws-node", ["AmazonEKS_CNI_Policy"])
        self._addon("vpc-cni", after=[agent, network])

    def _addon(self, name: str, after: Sequence[pulumi.Resource] = ()) -> eks.Addon:
        return eks.Addon(
            name,
            cluster_name=self.cluster.name,
            addon_name=name,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="PRESERVE",
            opts=self.child(depends_on=list(after)),
        )

    def pod_role(
        self, part: str, namespace: str, account: str, rights: Sequence[str] = ()
    ) -> eks.PodIdentityAssociation:
        """Give the pods of a service account a role of their own."""
        role = iam.Role(
            part,
            name=role_name(self.place.stack, f"inference-{part}"),
            assume_role_policy=pod_trust(),
            opts=self.child(),
        )
        for right in rights:
            iam.RolePolicyAttachment(
                f"{part}-{right}",
                role=role.name,
                policy_arn=f"{MANAGED}{right}",
                opts=self.child(),
            )
        return eks.PodIdentityAssociation(
            part,
            cluster_name=self.cluster.name,
            namespace=namespace,
            service_account=account,
            role_arn=role.arn,
            opts=self.child(),
        )

    def _nodes(self, inside: Inside) -> eks.NodeGroup:
        template = ec2.LaunchTemplate(
            "nodes",
            name=f"{self.name}-nodes",
            update_default_version=True,
            metadata_options=metadata_options(),
            block_device_mappings=[
                {
                    "device_name": "/dev/xvda",  # of the cloud's own node images
                    "ebs": {
                        "volume_size": self.inputs.disk_gb,
                        "volume_type": "gp3",
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            tag_specifications=[
                {"resource_type": resource, "tags": self.tags}
                for resource in ("instance", "volume", "network-interface")
            ],
            opts=self.child(),
        )
        return eks.NodeGroup(
            "nodes",
            cluster_name=self.cluster.name,
            node_group_name="models",
            node_role_arn=self._role("nodes", "ec2.amazonaws.com", NODE_RIGHTS).arn,
            subnet_ids=inside.subnet_ids,
            instance_types=[self.inputs.instance_type],
            launch_template={
                "id": template.id,
                "version": template.latest_version.apply(str),
            },
            scaling_config={
                "min_size": self.inputs.min,
                "max_size": self.inputs.max,
                "desired_size": self.inputs.min,
            },
            update_config={"max_unavailable": 1},
            opts=self.child(ignore_changes=["scalingConfig.desiredSize"]),
        )

    def let_in(self, part: str, principal: pulumi.Input[str], policy: str, space: str) -> None:
        """Give a principal a policy of the cluster, in one namespace or ("") everywhere."""
        entry = eks.AccessEntry(
            part,
            cluster_name=self.cluster.name,
            principal_arn=principal,
            type="STANDARD",
            opts=self.child(),
        )
        eks.AccessPolicyAssociation(
            part,
            cluster_name=self.cluster.name,
            principal_arn=principal,
            policy_arn=f"{ACCESS}{policy}",
            access_scope={"type": "namespace", "namespaces": [space]}
            if space
            else {"type": "cluster"},
            opts=self.child(depends_on=[entry]),
        )


def pod_trust() -> str:
    """Let the cluster's pod identity take a role on."""
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
    )
