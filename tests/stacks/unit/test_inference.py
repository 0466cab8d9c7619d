"""The inference stack's program under mocks: a private cluster that few may enter."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stacks.unit import recorder

STACK = "prod-aws-eu-west-1-inference"
BASE = "prod-aws-eu-west-1-base"
CONFIG: dict[str, Any] = {"baseStack": BASE, "account": "123456789012"}
CONTROL = "arn:aws:iam::123456789012:role/talkoot-prod-eu-west-1-control"
BASE_OUTPUTS: dict[str, Any] = {
    "installation": "acme",
    "workerSubnetIds": ["subnet-a", "subnet-b"],
    "controlRoleArn": CONTROL,
    "dataKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/data",
}


def run(preview: bool = False, **more: Any) -> recorder.Run:
    return recorder.run(STACK, CONFIG | more, stacks={BASE: BASE_OUTPUTS}, preview=preview)


@pytest.fixture(scope="module")
def inference() -> recorder.Run:
    return run()


def test_the_cluster_is_private_encrypted_and_protected(inference: recorder.Run) -> None:
    cluster = inference.only("aws:eks/cluster:Cluster")
    properties = cluster.properties
    assert cluster.is_protected
    assert properties["deletionProtection"] is True
    assert properties["vpcConfig"]["endpointPrivateAccess"] is True
    assert properties["vpcConfig"]["endpointPublicAccess"] is False
    assert properties["encryptionConfig"]["resources"] == ["secrets"]
    assert properties["accessConfig"]["authenticationMode"] == "API"
    assert properties["accessConfig"]["bootstrapClusterCreatorAdminPermissions"] is False


def test_the_control_service_may_act_in_one_namespace_only(inference: recorder.Run) -> None:
    entry = inference.only("aws:eks/accessEntry:AccessEntry").properties
    assert entry["principalArn"] == CONTROL
    granted = inference.only("aws:eks/accessPolicyAssociation:AccessPolicyAssociation").properties
    assert granted["accessScope"] == {"type": "namespace", "namespaces": ["talkoot-models"]}


def test_an_administrator_is_named_or_there_is_none() -> None:
    made = run(administratorArns="arn:aws:iam::123456789012:role/admin")
    granted = {
        r.name: r.properties["accessScope"]["type"]
        for r in made.all("aws:eks/accessPolicyAssociation:AccessPolicyAssociation")
    }
    assert granted == {"control": "namespace", "administrator-0": "cluster"}


def test_node_numbers_are_the_clusters_own_after_the_first_time(inference: recorder.Run) -> None:
    nodes = inference.only("aws:eks/nodeGroup:NodeGroup")
    assert nodes.ignore_changes == ("scalingConfig.desiredSize",)
    template = inference.only("aws:ec2/launchTemplate:LaunchTemplate").properties
    assert template["metadataOptions"]["httpTokens"] == "required"
    assert template["metadataOptions"]["httpPutResponseHopLimit"] == 1


def test_pods_have_roles_of_their_own_and_nodes_only_pull(inference: recorder.Run) -> None:
    addons = {r.name for r in inference.all("aws:eks/addon:Addon")}
    assert addons == {"vpc-cni", "kube-proxy", "coredns", "eks-pod-identity-agent"}
    associations = inference.all("aws:eks/podIdentityAssociation:PodIdentityAssociation")
    assert {(a.properties["namespace"], a.properties["serviceAccount"]) for a in associations} == {
        ("kube-system", "aws-node"),
        ("talkoot-models", "talkoot-model"),
    }
    attached = inference.all("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    nodes = [a for a in attached if a.name.startswith("nodes-")]
    assert {a.properties["policyArn"].rpartition("/")[2] for a in nodes} == {
        "AmazonEKSWorkerNodePolicy",
        "AmazonEC2ContainerRegistryPullOnly",
    }


def test_a_preview_needs_no_value_of_the_cloud() -> None:
    assert run(preview=True).only("aws:eks/cluster:Cluster")
