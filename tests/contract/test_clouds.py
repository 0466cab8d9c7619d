"""Every registered cloud keeps to the contract."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from control.domain.cloud_ports import Cloud, FailureClass, GroupRef
from control.domain.errors import PermanentError, TemporaryError
from control.plugins.clouds import aws as aws_module
from control.plugins.clouds import aws_calls
from control.plugins.clouds.aws import AwsCloud
from control.plugins.clouds.contract import (
    FAR_AWAY,
    LONG_AGO,
    CloudContract,
    WrongCredentials,
)
from control.plugins.clouds.memory import MemoryCloud
from stacks.inputs import TAG_STACK
from tests.engines.aws.gate import KEY_ID, SECRET_KEY
from tests.engines.aws.world import World
from tests.engines.aws_account import Account
from tests.engines.processes import wait_until
from tests.engines.s3 import S3Server


class TestMemoryCloud(CloudContract, WrongCredentials):
    region = "here-1"

    @pytest.fixture
    def cloud(self) -> MemoryCloud:
        return MemoryCloud.from_url("memory:", options={"installation": "tests"})

    @pytest.fixture
    def stranger(self) -> MemoryCloud:
        cloud = MemoryCloud.from_url("memory:", options={"installation": "tests"})
        cloud.faults.has_wrong_credentials = True
        return cloud

    def make_group(self, cloud: Cloud, *, minimum: int, maximum: int) -> GroupRef:
        assert isinstance(cloud, MemoryCloud)
        name = f"group-{secrets.token_hex(4)}"
        group = GroupRef(name, self.region, f"asg-{name}")
        cloud.add_group(group, minimum=minimum, maximum=maximum)
        return group

    def set_desired(self, cloud: Cloud, group: GroupRef, count: int) -> None:
        assert isinstance(cloud, MemoryCloud)
        cloud.set_desired(group, count)

    def suspend_terminate(self, cloud: Cloud, group: GroupRef) -> None:
        assert isinstance(cloud, MemoryCloud)
        cloud.suspend(group, "Terminate")

    def launch_stray(self, cloud: Cloud, group: str) -> str:
        assert isinstance(cloud, MemoryCloud)
        return cloud.launch_stray(self.region, group)

    def announce_reclaim(self, cloud: Cloud, instance_id: str) -> None:
        assert isinstance(cloud, MemoryCloud)
        cloud.reclaim(instance_id, cloud.now + timedelta(minutes=2))


class AwsContract(CloudContract):
    """What is the same on every fake of AWS."""

    region = "eu-west-1"

    @pytest.fixture
    def cloud(self, account: Account) -> AwsCloud:
        self._account = account
        return AwsCloud.from_url(f"aws:?endpoint={account.endpoint}", options=account.options())

    def make_group(self, cloud: Cloud, *, minimum: int, maximum: int) -> GroupRef:
        del cloud
        return self._account.make_group(minimum=minimum, maximum=maximum)

    def set_desired(self, cloud: Cloud, group: GroupRef, count: int) -> None:
        del cloud
        self._account.set_desired(group, count)

    def suspend_terminate(self, cloud: Cloud, group: GroupRef) -> None:
        del cloud
        self._account.suspend_terminate(group)

    def launch_stray(self, cloud: Cloud, group: str) -> str:
        del cloud
        return self._account.launch(group)

    def announce_reclaim(self, cloud: Cloud, instance_id: str) -> None:
        del cloud
        event = {
            "detail-type": "EC2 Spot Instance Interruption Warning",
            "time": datetime.now(UTC).isoformat(),
            "detail": {"instance-id": instance_id, "instance-action": "terminate"},
        }
        self._account.send_notice(json.dumps(event))


class TestAwsCloud(AwsContract):
    """On plain moto, which never fails a launch and checks no bounds and no credentials."""

    @pytest.fixture
    def account(self, s3_server: S3Server) -> Iterator[Account]:
        keys = s3_server.access_key, s3_server.secret_key
        with Account.open(s3_server.endpoint, keys, self.region) as account:
            yield account

    def test_another_installation_s_machines_are_not_ours(self, cloud: Cloud) -> None:
        group = self.make_group(cloud, minimum=0, maximum=10)
        self.set_desired(cloud, group, 2)
        options = self._account.options() | {"installation": "somebody-else"}
        other = AwsCloud.from_url(f"aws:?endpoint={self._account.endpoint}", options=options)
        assert list(other.instances(self.region)) == []
        assert len(cloud.instances(self.region)) == 2

    def test_a_host_of_ours_that_belongs_to_no_group_is_not_listed(self, cloud: Cloud) -> None:
        self._account.launch("")
        assert list(cloud.instances(self.region)) == []

    def test_a_message_that_announces_nothing_is_thrown_away(self, cloud: Cloud) -> None:
        for body in ("", "no json", "{}", '{"detail-type": "Something else"}'):
            if body:
                self._account.send_notice(body)
        assert list(cloud.notices(self.region)) == []
        assert self._account.waiting_notices() == 0

    def test_what_a_stack_made_is_found_by_name_and_a_strangers_is_not(self, cloud: Cloud) -> None:
        group = self.make_group(cloud, minimum=0, maximum=1)
        scaling, ec2 = self._account.client("autoscaling"), self._account.client("ec2")
        tag = {"Key": TAG_STACK, "Value": "a-stack"}
        template = ec2.create_launch_template(
            LaunchTemplateName=f"of-{group.name}",
            LaunchTemplateData={"ImageId": "ami-12c6146b"},
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": [tag]}],
        )["LaunchTemplate"]["LaunchTemplateId"]

        def find(type_: str, name: str, stack: str = "a-stack") -> str | None:
            return cloud.find_resource(self.region, stack, type_, name)

        templates, groups = "aws:ec2/launchTemplate:LaunchTemplate", "aws:autoscaling/group:Group"
        assert find(templates, f"of-{group.name}") == template
        assert find(templates, f"of-{group.name}", "another-stack") == ""
        assert find(templates, "nothing") == ""
        assert find(groups, group.resource) == ""
        owned = {"ResourceId": group.resource, "ResourceType": "auto-scaling-group"}
        scaling.create_or_update_tags(Tags=[{**owned, **tag, "PropagateAtLaunch": True}])
        assert find(groups, group.resource) == group.resource

    def test_where_no_stack_made_a_queue_there_are_no_notices(self, account: Account) -> None:
        options = account.options() | {"installation": "without-a-queue"}
        cloud = AwsCloud.from_url(f"aws:?endpoint={account.endpoint}", options=options)
        assert list(cloud.notices(self.region)) == []
        cloud.forget(self.region, [])

    def test_a_list_of_several_pages_is_whole(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(aws_module, "PAGE", 5)
        group = self.make_group(cloud, minimum=0, maximum=20)
        self.set_desired(cloud, group, 12)
        assert len({one.id for one in cloud.instances(self.region)}) == 12

    def test_a_spot_price_is_the_dearest_zone_s(self, cloud: Cloud) -> None:
        price = cloud.price(self.region, "c5.large", "spot")
        assert price is not None
        assert 0 < price < 10
        assert cloud.price(self.region, "c5.large", "on-demand") is None


class TestAwsCloudInLife(AwsContract, WrongCredentials):
    """On the fake account whose machines take time and whose calls can fail."""

    @pytest.fixture
    def account(self, aws: World) -> Iterator[Account]:
        aws.pace(launch_s=0.1, end_s=0.2, retry_s=0.2, heal_s=0.2)
        keys = KEY_ID, SECRET_KEY
        with Account.open(aws.endpoint, keys, self.region, settle=aws.wait_for_running) as account:
            yield account

    @pytest.fixture
    def stranger(self, aws: World, account: Account) -> AwsCloud:
        aws.fault("credentials")
        return AwsCloud.from_url(f"aws:?endpoint={aws.endpoint}", options=account.options())

    def announce_reclaim(self, cloud: Cloud, instance_id: str) -> None:
        del cloud
        self._account.send_reclaims_of_ec2()
        self._world.reclaim(instance_id, notice_s=60)

    @pytest.fixture(autouse=True)
    def world(self, aws: World) -> None:
        self._world = aws

    @pytest.mark.parametrize(
        ("fault", "kind", "words"),
        [
            ("capacity", FailureClass.CAPACITY, "sufficient c5.large capacity"),
            ("quota", FailureClass.QUOTA, "vCPU"),
            ("no-image", FailureClass.CONFIGURATION, "does not exist"),
        ],
    )
    def test_a_launch_that_fails_is_told_with_its_class_and_the_cloud_s_words(
        self, cloud: Cloud, fault: str, kind: FailureClass, words: str
    ) -> None:
        group = self.make_group(cloud, minimum=0, maximum=10)
        self._world.fault(fault)
        self._account.want(group, 1)
        wait_until(lambda: bool(cloud.failures(group, since=LONG_AGO)), what="a failed launch")
        failure = cloud.failures(group, since=LONG_AGO)[0]
        assert failure.kind is kind
        assert words in failure.message
        assert failure.zone.startswith(self.region)
        assert failure.group == group.name
        assert list(cloud.failures(group, since=FAR_AWAY)) == []

    def test_a_zone_without_capacity_is_named_while_another_serves(self, cloud: Cloud) -> None:
        group = self.make_group(cloud, minimum=0, maximum=10)
        self._world.fault("capacity", zone="eu-west-1b")
        self.set_desired(cloud, group, 3)
        assert {one.zone for one in cloud.instances(self.region)} == {"eu-west-1a", "eu-west-1c"}
        assert {one.zone for one in cloud.failures(group, since=LONG_AGO)} == {"eu-west-1b"}

    def test_the_last_of_the_console_is_read(self, cloud: Cloud) -> None:
        _, machines = self.launched(cloud, 1)
        self._world.write_console(machines[0].id, "cloud-init: no such package\n")
        shown = cloud.console_output(self.region, machines[0].id)
        assert "cloud-init: no such package" in shown

    def test_calls_that_are_too_many_are_temporary(self, cloud: Cloud) -> None:
        self._world.fault("throttle", operation="DescribeInstances")
        with pytest.raises(TemporaryError, match="less often"):
            cloud.instances(self.region)

    def test_a_right_that_is_missing_is_named(self, cloud: Cloud) -> None:
        group, machines = self.launched(cloud, 1)
        self._world.fault("denied", operation="TerminateInstanceInAutoScalingGroup")
        with pytest.raises(PermanentError, match="does not allow these credentials to end"):
            cloud.terminate(group, machines[0].id)
        assert self.ids(cloud) == {machines[0].id}

    def test_an_outage_is_temporary(self, cloud: Cloud) -> None:
        self._world.fault("outage")
        with pytest.raises(TemporaryError, match="does not answer"):
            cloud.instances(self.region)

    def test_an_answer_that_takes_too_long_is_given_up(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(aws_calls, "READ_S", 0.3)
        self._world.fault("slow", operation="DescribeInstances", seconds=1)
        with pytest.raises(TemporaryError, match="does not answer"):
            cloud.instances(self.region)

    def test_a_spot_machine_is_of_the_spot_market(self, cloud: Cloud) -> None:
        group = self._account.make_group(minimum=0, maximum=3, market="spot")
        self.set_desired(cloud, group, 1)
        assert [one.market for one in cloud.instances(self.region)] == ["spot"]

    def test_a_machine_on_its_way_out_is_listed_as_stopping(self, cloud: Cloud) -> None:
        group, machines = self.launched(cloud, 1)
        self._world.pace(end_s=30)
        cloud.terminate(group, machines[0].id)
        assert [one.state for one in cloud.instances(self.region)] == ["stopping"]
        cloud.terminate(group, machines[0].id)
        capacity = cloud.capacity(group)
        assert capacity is not None
        assert capacity.desired == 0
