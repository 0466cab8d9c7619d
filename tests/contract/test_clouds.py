"""Every registered cloud keeps to the contract."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from control.domain.cloud_ports import Cloud, GroupRef
from control.plugins.clouds import aws
from control.plugins.clouds.aws import AwsCloud
from control.plugins.clouds.contract import CloudContract, WrongCredentials
from control.plugins.clouds.memory import MemoryCloud
from tests.engines.aws_account import Account
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


class TestAwsCloud(CloudContract):
    """On plain moto, which never fails a launch and checks no bounds and no credentials."""

    region = "eu-west-1"

    @pytest.fixture
    def account(self, s3_server: S3Server) -> Iterator[Account]:
        # An installation each: the server keeps what a test before this one made.
        with Account.open(s3_server, self.region, f"t-{secrets.token_hex(4)}") as account:
            self._account = account
            yield account

    @pytest.fixture
    def cloud(self, account: Account) -> AwsCloud:
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

    def test_where_no_stack_made_a_queue_there_are_no_notices(self, account: Account) -> None:
        options = account.options() | {"installation": "without-a-queue"}
        cloud = AwsCloud.from_url(f"aws:?endpoint={account.endpoint}", options=options)
        assert list(cloud.notices(self.region)) == []
        cloud.forget(self.region, [])

    def test_a_list_of_several_pages_is_whole(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(aws, "PAGE", 5)
        group = self.make_group(cloud, minimum=0, maximum=20)
        self.set_desired(cloud, group, 12)
        assert len({one.id for one in cloud.instances(self.region)}) == 12

    def test_a_spot_price_is_the_dearest_zone_s(self, cloud: Cloud) -> None:
        price = cloud.price(self.region, "c5.large", "spot")
        assert price is not None
        assert 0 < price < 10
        assert cloud.price(self.region, "c5.large", "on-demand") is None
