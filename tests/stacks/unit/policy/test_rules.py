"""The rules over plans: every program of ours keeps them all, and each planted breach is caught."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stacks.policy.planned import Planned
from stacks.policy.rules import broken
from tests.stacks.unit import test_base, test_control, test_group, test_inference

PROGRAMS = {
    "base": lambda: test_base.run(
        interfaceEndpoints="true", pullThroughCache="true", workerLogs="true", stateBucket="states"
    ),
    "control": test_control.run,
    "inference": test_inference.run,
    "group": test_group.run,
    "spot group": lambda: test_group.run(market="spot", size=3),
}
DOCUMENT = {"Version": "2012-10-17"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_keeps_every_rule(name: str) -> None:
    assert broken(PROGRAMS[name]().resources) == []


def policy(**statement: Any) -> dict[str, Any]:
    whole = {"Sid": "One", "Effect": "Allow", **statement}
    return {"policy": json.dumps({**DOCUMENT, "Statement": [whole]})}


BREACHES: dict[str, tuple[str, dict[str, Any], str]] = {
    "a subnet that hands out public addresses": (
        "aws:ec2/subnet:Subnet",
        {"mapPublicIpOnLaunch": True},
        "public address",
    ),
    "an interface that leaves the address to the subnet": (
        "aws:ec2/x:X",
        {"networkInterfaces": [{"deviceIndex": 0}]},
        "must refuse a public address",
    ),
    "a database in the open": (
        "aws:rds/instance:Instance",
        {"publiclyAccessible": True, "storageEncrypted": True},
        "reachable from the world",
    ),
    "ssh from the world": (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"cidrIpv4": "0.0.0.0/0", "fromPort": 22, "toPort": 22},
        "lets the world in",
    ),
    "443 from the world where there is no load balancer": (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"cidrIpv4": "0.0.0.0/0", "fromPort": 443, "toPort": 443},
        "lets the world in",
    ),
    "rules inside a group": (
        "aws:ec2/securityGroup:SecurityGroup",
        {"ingress": [{"fromPort": 1}]},
        "resources of their own",
    ),
    "a listener without TLS": (
        "aws:lb/listener:Listener",
        {"protocol": "HTTP", "port": 80},
        "without TLS",
    ),
    "a cluster whose API is open": (
        "aws:eks/cluster:Cluster",
        {"vpcConfig": {"endpointPublicAccess": True}},
        "open to the world",
    ),
    "a queue server without TLS": (
        "aws:elasticache/replicationGroup:ReplicationGroup",
        {"atRestEncryptionEnabled": True},
        "is not encrypted",
    ),
    "a disk in clear": (
        "aws:ec2/x:X",
        {"blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 8}}]},
        "disk /dev/xvda is not encrypted",
    ),
    "a bucket alone": ("aws:s3/bucket:Bucket", {}, "lacks its BucketPublicAccessBlock"),
    "a bucket that is not protected": ("aws:s3/bucket:Bucket", {}, "is not protected"),
    "a door of a bucket left open": (
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {"blockPublicAcls": True, "restrictPublicBuckets": False},
        "leaves a door open",
    ),
    "a bucket that takes plain HTTP": (
        "aws:s3/bucketPolicy:BucketPolicy",
        policy(Effect="Deny", Principal="*", Action="s3:*", Resource="*"),
        "without TLS",
    ),
    "every action on everything": (
        "aws:iam/rolePolicy:RolePolicy",
        policy(Action="*", Resource="*"),
        "allows * on every resource",
    ),
    "a write on everything": (
        "aws:iam/rolePolicy:RolePolicy",
        policy(Action=["autoscaling:SetInstanceProtection"], Resource=["*"]),
        "autoscaling:SetInstanceProtection on every resource",
    ),
    "a condition that holds where the tag is absent": (
        "aws:iam/rolePolicy:RolePolicy",
        policy(
            Action="ec2:TerminateInstances",
            Resource="arn:aws:ec2:*:*:instance/*",
            Condition={"ForAllValues:StringEquals": {"aws:ResourceTag/a": "b"}},
        ),
        "ForAllValues",
    ),
    "a queue for anybody": (
        "aws:sqs/queuePolicy:QueuePolicy",
        policy(Principal="*", Action="sqs:SendMessage", Resource="arn:q"),
        "lets anybody in",
    ),
    "a metadata service that answers containers": (
        "aws:ec2/launchTemplate:LaunchTemplate",
        {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2}},
        "one hop away",
    ),
    "machines without tags": (
        "aws:ec2/launchTemplate:LaunchTemplate",
        {"tagSpecifications": [{"resourceType": "instance", "tags": {"a": "b"}}]},
        "lacks the tags of each volume",
    ),
    "a group whose machines get no tags": (
        "aws:autoscaling/group:Group",
        {"tags": [{"key": "talkoot:stack", "value": "a", "propagateAtLaunch": False}]},
        "lacks the tags",
    ),
    "a provider that does not tag": ("pulumi:providers:aws", {"region": "x"}, "lacks the tags"),
    "a secret for everybody on a machine": (
        "aws:ec2/launchTemplate:LaunchTemplate",
        {"userData": "[secret]"},
        "holds a secret",
    ),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_caught(breach: str) -> None:
    type_, properties, words = BREACHES[breach]
    complaints = broken([Planned(type_, "planted", properties)])
    assert any(words in complaint for complaint in complaints), complaints


def test_a_resource_of_the_default_provider_is_caught() -> None:
    stray = Planned("aws:sqs/queue:Queue", "q", {}, provider="urn::pulumi:providers:aws::default")
    assert any("without our provider" in complaint for complaint in broken([stray]))
