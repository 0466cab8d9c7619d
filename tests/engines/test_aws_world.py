"""The fake AWS account says no, takes its time and fails, as the real one does."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.engines.aws.world import World
from tests.engines.processes import wait_until


class Account:
    """A group named `workers` over three zones, from 0 to 8 machines, and the clients to use it."""

    def __init__(self, world: World, stack: ExitStack) -> None:
        self.world = world

        def client(service: str) -> Any:
            made = world.client(service)
            stack.callback(made.close)
            return made

        self.ec2, self.scaling = client("ec2"), client("autoscaling")
        self.sqs, self.events = client("sqs"), client("events")

    def make_group(self, *, least: int = 0, market: Mapping[str, Any] | None = None) -> None:
        vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            self.ec2.create_subnet(
                VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}"
            )["Subnet"]["SubnetId"]
            for n, zone in enumerate("abc")
        ]
        self.ec2.create_launch_template(
            LaunchTemplateName="workers",
            LaunchTemplateData={
                "ImageId": "ami-0123456789abcdef0",
                "InstanceType": "m5.large",
                "UserData": base64.b64encode(b"#cloud-config\n").decode(),
                **({"InstanceMarketOptions": market} if market else {}),
            },
        )
        self.scaling.create_auto_scaling_group(
            AutoScalingGroupName="workers",
            MinSize=least,
            MaxSize=8,
            VPCZoneIdentifier=",".join(subnets),
            LaunchTemplate={"LaunchTemplateName": "workers", "Version": "$Latest"},
            NewInstancesProtectedFromScaleIn=True,
            Tags=[{"Key": "talkoot:group", "Value": "a", "PropagateAtLaunch": True}],
        )

    def want(self, count: int) -> None:
        self.scaling.set_desired_capacity(AutoScalingGroupName="workers", DesiredCapacity=count)

    def states(self) -> list[str]:
        pages = self.ec2.describe_instances()["Reservations"]
        return sorted(i["State"]["Name"] for page in pages for i in page["Instances"])

    def activities(self) -> list[dict[str, Any]]:
        return self.scaling.describe_scaling_activities(AutoScalingGroupName="workers")[
            "Activities"
        ]

    def terminate(self, instance_id: str) -> None:
        self.scaling.terminate_instance_in_auto_scaling_group(
            InstanceId=instance_id, ShouldDecrementDesiredCapacity=True
        )


@pytest.fixture
def account(aws: World) -> Iterator[Account]:
    aws.pace(launch_s=0.2, end_s=0.1, retry_s=0.3, heal_s=0.1)
    with ExitStack() as stack:
        yield Account(aws, stack)


def test_a_machine_is_pending_before_it_runs(account: Account) -> None:
    account.world.pace(launch_s=60)
    account.make_group()
    account.want(1)
    wait_until(lambda: account.states() == ["pending"], what="a pending machine")
    assert account.activities()[0]["StatusCode"] == "InProgress"


def test_machines_spread_over_the_zones_with_the_groups_tags(account: Account) -> None:
    account.make_group()
    account.want(6)
    account.world.wait_for_running("workers", 6)
    zones = [member["zone"] for member in account.world.group("workers")["members"]]
    assert sorted(zones) == [f"eu-west-1{zone}" for zone in "aabbcc"]
    found = account.ec2.describe_instances(
        Filters=[{"Name": "tag:talkoot:group", "Values": ["a"]}]
    )["Reservations"]
    assert len(found) == 6


def test_no_capacity_in_one_zone_is_told_and_another_zone_serves(account: Account) -> None:
    account.world.fault("capacity", instance_type="m5.large", zone="eu-west-1a")
    account.make_group()
    account.want(3)
    account.world.wait_for_running("workers", 3)
    zones = {member["zone"] for member in account.world.group("workers")["members"]}
    assert zones == {"eu-west-1b", "eu-west-1c"}
    failed = [one for one in account.activities() if one["StatusCode"] == "Failed"]
    assert "sufficient m5.large capacity in the Availability Zone" in failed[0]["StatusMessage"]
    assert "eu-west-1a" in failed[0]["Details"]


def test_a_quota_fails_every_launch_until_it_is_raised(account: Account) -> None:
    account.world.fault("quota", instance_type="m5.large", limit=16)
    account.make_group()
    account.want(1)
    wait_until(lambda: bool(account.activities()), what="a failed activity")
    assert "vCPU limit of 16" in account.activities()[0]["StatusMessage"]
    assert account.world.running("workers") == []
    account.world.mend()
    account.world.wait_for_running("workers", 1)


def test_bounds_are_kept(account: Account) -> None:
    account.make_group(least=1)
    (machine,) = account.world.wait_for_running("workers", 1)
    with pytest.raises(ClientError, match="above max value 8"):
        account.want(9)
    with pytest.raises(ClientError, match="below min value 1"):
        account.want(0)
    with pytest.raises(ClientError, match="will violate group's min size"):
        account.terminate(machine)
    assert account.world.running("workers") == [machine]


def test_a_named_machine_ends_and_no_other(account: Account) -> None:
    account.make_group()
    account.want(3)
    first, *others = account.world.wait_for_running("workers", 3)
    account.terminate(first)
    account.world.wait_for_running("workers", 2)
    assert account.world.running("workers") == others
    assert account.world.group("workers")["desired"] == 2


def test_an_unknown_machine_is_a_validation_error(account: Account) -> None:
    with pytest.raises(ClientError, match="No managed instance found") as caught:
        account.terminate("i-0123456789abcdef0")
    assert caught.value.response["Error"]["Code"] == "ValidationError"


def test_an_unknown_instance_type_is_refused_with_the_group(account: Account) -> None:
    account.make_group()
    account.ec2.create_launch_template_version(
        LaunchTemplateName="workers",
        LaunchTemplateData={"ImageId": "ami-0123456789abcdef0", "InstanceType": "m5.gigantic"},
    )
    with pytest.raises(ClientError, match=r"Invalid value 'm5\.gigantic' for InstanceType"):
        account.scaling.update_auto_scaling_group(
            AutoScalingGroupName="workers",
            LaunchTemplate={"LaunchTemplateName": "workers", "Version": "2"},
        )
    account.want(1)


def test_a_machine_that_powers_off_is_replaced(account: Account) -> None:
    account.make_group()
    account.want(1)
    (first,) = account.world.wait_for_running("workers", 1)
    account.world.power_off(first)
    wait_until(
        lambda: account.world.running("workers") not in ([], [first]), what="another machine"
    )
    told = [(event["event"], event["instance_id"]) for event in account.world.machines()]
    assert ("ended", first) in told


def test_the_template_version_of_a_machine_is_the_one_it_was_made_from(account: Account) -> None:
    account.make_group()
    account.ec2.create_launch_template_version(
        LaunchTemplateName="workers",
        SourceVersion="1",
        LaunchTemplateData={"InstanceType": "m5.xlarge", "ImageId": "ami-0123456789abcdef0"},
    )
    account.want(1)
    (machine,) = account.world.wait_for_running("workers", 1)
    (seen,) = account.ec2.describe_instances(InstanceIds=[machine])["Reservations"]
    tags = {tag["Key"]: tag["Value"] for tag in seen["Instances"][0]["Tags"]}
    assert tags["aws:ec2launchtemplate:version"] == "2"
    assert seen["Instances"][0]["InstanceType"] == "m5.xlarge"


def test_a_spot_machine_is_taken_back_with_notice(account: Account) -> None:
    queue = account.sqs.create_queue(QueueName="notices")["QueueUrl"]
    named = account.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    pattern = {
        "source": ["aws.ec2"],
        "detail-type": ["EC2 Spot Instance Interruption Warning"],
    }
    account.events.put_rule(Name="spot", EventPattern=json.dumps(pattern))
    target = {"Id": "queue", "Arn": named["Attributes"]["QueueArn"]}
    account.events.put_targets(Rule="spot", Targets=[target])
    account.make_group(market={"MarketType": "spot"})
    account.want(1)
    (machine,) = account.world.wait_for_running("workers", 1)
    account.world.reclaim(machine, notice_s=0.2)
    (message,) = account.sqs.receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(message["Body"])["detail"]["instance-id"] == machine
    wait_until(lambda: account.world.running("workers") != [machine], what="its end")


def test_a_machine_proves_who_it_is(account: Account) -> None:
    account.make_group()
    account.want(1)
    (machine,) = account.world.wait_for_running("workers", 1)
    url = account.world.metadata_url(machine)
    assert httpx.get(f"{url}/latest/meta-data/instance-id").status_code == 401
    token = {"X-aws-ec2-metadata-token": httpx.put(f"{url}/latest/api/token").text}
    identity = f"{url}/latest/dynamic/instance-identity"
    document = httpx.get(f"{identity}/document", headers=token).text
    said = json.loads(document)
    assert (said["instanceId"], said["region"]) == (machine, "eu-west-1")
    signature = base64.b64decode(httpx.get(f"{identity}/signature", headers=token).text)
    key = x509.load_pem_x509_certificate(account.world.identity_certificate().encode()).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(signature, document.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_stale_and_empty_answers(account: Account) -> None:
    account.make_group()
    account.want(2)
    account.world.wait_for_running("workers", 2)
    assert len(account.states()) == 2
    fault = account.world.fault("stale", operation="DescribeInstances")
    account.want(3)
    account.world.wait_for_running("workers", 3)
    assert len(account.states()) == 2
    account.world.mend(fault)
    assert len(account.states()) == 3
    account.world.fault("empty", operation="DescribeInstances", times=1)
    assert account.states() == []
    assert len(account.states()) == 3


@pytest.mark.parametrize(
    ("fault", "code"),
    [("credentials", "AuthFailure"), ("throttle", "RequestLimitExceeded"), ("denied", "Unauth")],
)
def test_refusals_have_amazons_words(account: Account, fault: str, code: str) -> None:
    account.world.fault(fault)
    with pytest.raises(ClientError, match=code):
        account.states()


def test_an_outage_is_no_answer_at_all(account: Account) -> None:
    account.world.fault("outage", times=1)
    with pytest.raises(BotoCoreError):
        account.states()
    assert account.states() == []


def test_an_unknown_fault_is_refused(aws: World) -> None:
    with pytest.raises(ValueError, match="no fault is called"):
        aws.fault("rain")
