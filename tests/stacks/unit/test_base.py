"""The base stack's program under mocks: everything a region needs once, and nothing open."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from stacks.inputs import reclaim_queue_name
from tests.stacks.unit import recorder

STACK = "prod-aws-eu-west-1-base"
CONFIG: dict[str, Any] = {"installation": "acme", "account": "123456789012", "owner": "ada"}
IMAGE = {"aws:ssm/getParameter:getParameter": {"value": "ami-0123456789abcdef0"}}
BUCKETS = ("artifacts", "code", "logs", "releases")


def run(preview: bool = False, **more: Any) -> recorder.Run:
    return recorder.run(STACK, CONFIG | more, calls=IMAGE, preview=preview)


@pytest.fixture(scope="module")
def base() -> recorder.Run:
    return run()


def test_each_zone_has_a_public_and_a_private_subnet_that_gives_no_public_address(
    base: recorder.Run,
) -> None:
    subnets = {s.name: s.properties for s in base.all("aws:ec2/subnet:Subnet")}
    assert set(subnets) == {"public-a", "public-b", "private-a", "private-b"}
    assert subnets["private-b"]["availabilityZone"] == "eu-west-1b"
    assert all(s["mapPublicIpOnLaunch"] is False for s in subnets.values())
    assert len({s["cidrBlock"] for s in subnets.values()}) == 4


def test_private_subnets_leave_by_nat_and_reach_s3_for_nothing(base: recorder.Run) -> None:
    assert base.only("aws:ec2/natGateway:NatGateway").name == "nat-a"
    ways = {r.name: r.properties for r in base.all("aws:ec2/route:Route")}
    assert "natGatewayId" in ways["private-a"]
    assert "natGatewayId" in ways["private-b"]
    (endpoint,) = base.all("aws:ec2/vpcEndpoint:VpcEndpoint")
    assert endpoint.properties["vpcEndpointType"] == "Gateway"
    assert len(endpoint.properties["routeTableIds"]) == 3


def test_a_gateway_a_zone_and_private_endpoints_come_by_flag() -> None:
    made = run(natPerZone="true", interfaceEndpoints="true", zones="a,b,c")
    assert len(made.all("aws:ec2/natGateway:NatGateway")) == 3
    endpoints = {e.name for e in made.all("aws:ec2/vpcEndpoint:VpcEndpoint")}
    assert endpoints == {"s3", "ecr.api", "ecr.dkr", "logs", "sts"}


def test_nobody_reaches_a_worker_and_a_worker_reaches_tls_only(base: recorder.Run) -> None:
    assert base.all("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule") == []
    rule = base.only("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule").properties
    assert (rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == (443, 443, "tcp")


def test_each_bucket_has_all_that_makes_one_safe(base: recorder.Run) -> None:
    companions = (
        "bucket:Bucket",
        "bucketPublicAccessBlock:BucketPublicAccessBlock",
        "bucketOwnershipControls:BucketOwnershipControls",
        "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "bucketPolicy:BucketPolicy",
    )
    for companion in companions:
        assert [r.name for r in base.all(f"aws:s3/{companion}")] == list(BUCKETS), companion
    versioned = base.all("aws:s3/bucketVersioning:BucketVersioning")
    assert [r.name for r in versioned] == ["artifacts", "releases"]


def test_what_people_stored_outlives_the_stack(base: recorder.Run) -> None:
    buckets = base.all("aws:s3/bucket:Bucket")
    assert all(b.is_protected and b.is_retained for b in buckets)
    assert all(b.properties["forceDestroy"] is False for b in buckets)
    keys = {key.name: key for key in base.all("aws:kms/key:Key")}
    assert all(key.is_protected for key in keys.values())
    assert keys["data"].is_retained  # the buckets are nothing without it


def test_who_is_leaving_takes_the_protection_off_and_still_keeps_what_people_stored() -> None:
    made = run(deletable="true")
    assert not [r.name for r in made.resources if r.is_protected]
    assert all(b.is_retained for b in made.all("aws:s3/bucket:Bucket"))


def test_a_page_may_reach_artifacts_and_only_when_an_origin_is_named(base: recorder.Run) -> None:
    kind = "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration"
    assert base.all(kind) == []
    made = run(webOrigin="https://talkoot.example.org").only(kind)
    assert made.name == "artifacts"
    assert made.properties["corsRules"][0]["allowedOrigins"] == ["https://talkoot.example.org"]


def test_images_are_written_once_scanned_and_forgotten_in_time(base: recorder.Run) -> None:
    repositories = base.all("aws:ecr/repository:Repository")
    assert [r.properties["name"] for r in repositories] == [
        "talkoot-prod/executions",
        "talkoot-prod/inference",
    ]
    assert all(r.properties["imageTagMutability"] == "IMMUTABLE" for r in repositories)
    assert len(base.all("aws:ecr/lifecyclePolicy:LifecyclePolicy")) == 2
    assert base.all("aws:ecr/pullThroughCacheRule:PullThroughCacheRule") == []
    assert run(pullThroughCache="true").only("aws:ecr/pullThroughCacheRule:PullThroughCacheRule")


def test_both_warnings_of_ec2_reach_the_queue_that_the_service_reads(base: recorder.Run) -> None:
    assert base.only("aws:sqs/queue:Queue").properties["name"] == reclaim_queue_name("acme")
    events = {
        json.loads(rule.properties["eventPattern"])["detail-type"][0]
        for rule in base.all("aws:cloudwatch/eventRule:EventRule")
    }
    assert events == {
        "EC2 Spot Instance Interruption Warning",
        "EC2 Instance Rebalance Recommendation",
    }
    targets = base.all("aws:cloudwatch/eventTarget:EventTarget")
    assert {t.properties["arn"] for t in targets} == {"arn:sqs:reclaims"}


def test_the_network_is_logged(base: recorder.Run) -> None:
    log = base.only("aws:ec2/flowLog:FlowLog").properties
    assert log["trafficType"] == "ALL"
    assert base.only("aws:cloudwatch/logGroup:LogGroup").properties["retentionInDays"] == 30


def test_the_provider_refuses_another_account_and_tags_everything(base: recorder.Run) -> None:
    provider = base.only("pulumi:providers:aws").properties
    assert json.loads(provider["allowedAccountIds"]) == ["123456789012"]
    assert json.loads(provider["defaultTags"])["tags"] == {
        "talkoot:installation": "acme",
        "talkoot:environment": "prod",
        "talkoot:stack": STACK,
        "talkoot:managed-by": "pulumi",
        "talkoot:owner": "ada",
    }
    ours = [r for r in base.resources if r.type.startswith("aws:")]
    assert all("pulumi:providers:aws::aws" in r.provider for r in ours)


def test_the_only_question_to_the_cloud_is_for_the_image_and_it_may_be_left_out(
    base: recorder.Run,
) -> None:
    assert base.calls == list(IMAGE)
    assert base.outputs["image"] == "ami-0123456789abcdef0"


def test_a_group_finds_all_it_needs_among_the_outputs(base: recorder.Run) -> None:
    from tests.stacks.unit.test_group import BASE_OUTPUTS

    assert set(BASE_OUTPUTS) <= set(base.outputs)


def test_a_preview_of_a_new_base_needs_no_value_of_the_cloud() -> None:
    made = run(preview=True, workerLogs="true", webOrigin="https://talkoot.example.org")
    assert len(made.all("aws:s3/bucket:Bucket")) == 4


def test_every_fault_of_the_config_is_told_at_once_and_nothing_is_registered() -> None:
    with pytest.raises(pulumi.RunError) as raised:
        recorder.run(
            STACK, {"account": "1234", "cidr": "8.8.8.0/24", "natPerZone": "maybe", "zone": "a"}
        )
    text = str(raised.value)
    assert "talkoot:installation is missing" in text
    assert "talkoot:natPerZone is 'maybe'; it must be true or false" in text
    assert "talkoot:zone is not a key of a base stack; did you mean talkoot:zones?" in text
