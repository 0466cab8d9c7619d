"""What every cloud must keep to. Subclass it, give a `cloud` fixture, and run it with pytest."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import pytest

from control.domain.cloud_ports import Cloud, GroupRef, Instance
from control.domain.errors import PermanentError

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FAR_AWAY = datetime(2120, 1, 1, tzinfo=UTC)
WORDS = r"\w+ \w+"  # an error has words for people


class CloudContract:
    """The tests. What only a stack or the cloud itself does is left to the subclass."""

    region: str
    """Where the tests happen; nothing of ours is there when a test begins."""

    def make_group(self, cloud: Cloud, *, minimum: int, maximum: int) -> GroupRef:
        """Make an empty group with our tags, as its stack would."""
        raise NotImplementedError

    def set_desired(self, cloud: Cloud, group: GroupRef, count: int) -> None:
        """Ask the cloud for so many machines, as `up` does."""
        raise NotImplementedError

    def suspend_terminate(self, cloud: Cloud, group: GroupRef) -> None:
        """Forbid the group to end machines."""
        raise NotImplementedError

    def launch_stray(self, cloud: Cloud, group: str) -> str:
        """Start a machine with our tags that no group holds; answer its id."""
        raise NotImplementedError

    def announce_reclaim(self, cloud: Cloud, instance_id: str) -> None:
        """Let the cloud announce that it takes a machine back."""
        raise NotImplementedError

    def unknown_id(self) -> str:
        """Give an id of the cloud's form that no machine has."""
        return f"i-{secrets.token_hex(8)}0"

    def launched(self, cloud: Cloud, count: int, **bounds: int) -> tuple[GroupRef, list[Instance]]:
        """Make a group with so many machines."""
        group = self.make_group(cloud, **({"minimum": 0, "maximum": 10} | bounds))
        self.set_desired(cloud, group, count)
        return group, list(cloud.instances(self.region))

    def ids(self, cloud: Cloud) -> set[str]:
        """List the machines that are not on their way out."""
        return {one.id for one in cloud.instances(self.region) if one.state != "stopping"}

    def test_a_cloud_without_machines_lists_none(self, cloud: Cloud) -> None:
        self.make_group(cloud, minimum=0, maximum=10)
        assert list(cloud.instances(self.region)) == []

    def test_a_launched_machine_is_listed_with_what_it_is(self, cloud: Cloud) -> None:
        group, machines = self.launched(cloud, 3)
        assert len({one.id for one in machines}) == 3
        for one in machines:
            assert one.group == group.name
            assert one.region == self.region
            assert one.zone.startswith(self.region)
            assert one.instance_type
            assert one.market in ("spot", "on-demand")
            assert one.state in ("pending", "running")
            assert one.launched_at.tzinfo is not None
        assert machines == sorted(machines, key=lambda one: one.launched_at)

    def test_every_group_of_the_region_is_in_one_list(self, cloud: Cloud) -> None:
        first, _ = self.launched(cloud, 1)
        second, machines = self.launched(cloud, 2)
        assert sorted(one.group for one in machines) == sorted([first.name, *[second.name] * 2])

    def test_a_group_says_its_bounds_and_number(self, cloud: Cloud) -> None:
        group, _ = self.launched(cloud, 2, minimum=1, maximum=7)
        capacity = cloud.capacity(group)
        assert capacity is not None
        assert (capacity.minimum, capacity.desired, capacity.maximum) == (1, 2, 7)
        assert capacity.suspended == frozenset()

    def test_a_group_that_is_not_there_has_no_capacity(self, cloud: Cloud) -> None:
        assert cloud.capacity(GroupRef("gone", self.region, "no-such-group")) is None

    def test_exactly_the_named_machine_ends_and_the_number_sinks(self, cloud: Cloud) -> None:
        group, machines = self.launched(cloud, 3)
        cloud.terminate(group, machines[1].id)
        assert self.ids(cloud) == {machines[0].id, machines[2].id}
        capacity = cloud.capacity(group)
        assert capacity is not None
        assert capacity.desired == 2

    def test_ending_a_machine_again_lowers_nothing(self, cloud: Cloud) -> None:
        group, machines = self.launched(cloud, 3)
        for _ in range(3):
            cloud.terminate(group, machines[0].id)
        capacity = cloud.capacity(group)
        assert capacity is not None
        assert capacity.desired == 2
        assert self.ids(cloud) == {machines[1].id, machines[2].id}

    def test_ending_a_machine_that_nobody_knows_is_silent(self, cloud: Cloud) -> None:
        group, machines = self.launched(cloud, 1)
        cloud.terminate(group, self.unknown_id())
        assert self.ids(cloud) == {machines[0].id}

    def test_a_replaced_machine_ends_and_the_number_stays(self, cloud: Cloud) -> None:
        group, machines = self.launched(cloud, 2, minimum=2)
        cloud.terminate(group, machines[0].id, replace=True)
        capacity = cloud.capacity(group)
        assert capacity is not None
        assert capacity.desired == 2
        assert machines[0].id not in self.ids(cloud)
        assert machines[1].id in self.ids(cloud)

    def test_a_refusal_is_said_before_it_happens(self, cloud: Cloud) -> None:
        group, machines = self.launched(cloud, 2, minimum=1)
        assert cloud.may_terminate(group, machines[0].id) is None
        cloud.terminate(group, machines[0].id)
        why = cloud.may_terminate(group, machines[1].id)
        assert why is not None
        assert "minimum of 1" in why

    def test_a_suspended_process_is_a_refusal(self, cloud: Cloud) -> None:
        group, machines = self.launched(cloud, 1)
        self.suspend_terminate(cloud, group)
        why = cloud.may_terminate(group, machines[0].id)
        assert why is not None
        assert "suspended" in why

    def test_an_orphan_ends_and_ending_it_again_is_silent(self, cloud: Cloud) -> None:
        stray = self.launch_stray(cloud, "deleted-group")
        assert self.ids(cloud) == {stray}
        for _ in range(2):
            cloud.end_orphan(self.region, stray)
        assert self.ids(cloud) == set()
        cloud.end_orphan(self.region, self.unknown_id())

    def test_a_machine_of_a_group_ends_as_an_orphan_without_a_successor(self, cloud: Cloud) -> None:
        group, machines = self.launched(cloud, 2)
        cloud.end_orphan(self.region, machines[0].id)
        assert self.ids(cloud) == {machines[1].id}
        capacity = cloud.capacity(group)
        assert capacity is not None
        assert capacity.desired == 1

    def test_the_console_is_text_and_empty_where_there_is_none(self, cloud: Cloud) -> None:
        _, machines = self.launched(cloud, 1)
        assert isinstance(cloud.console_output(self.region, machines[0].id), str)
        assert cloud.console_output(self.region, self.unknown_id()) == ""

    def test_a_group_without_failures_lists_none(self, cloud: Cloud) -> None:
        group, _ = self.launched(cloud, 1)
        assert list(cloud.failures(group, since=LONG_AGO)) == []

    def test_a_reclaim_notice_comes_until_it_is_forgotten(self, cloud: Cloud) -> None:
        _, machines = self.launched(cloud, 1)
        assert list(cloud.notices(self.region)) == []
        self.announce_reclaim(cloud, machines[0].id)
        notices = cloud.notices(self.region)
        assert [one.instance_id for one in notices] == [machines[0].id]
        assert notices[0].deadline.tzinfo is not None
        cloud.forget(self.region, notices)
        assert list(cloud.notices(self.region)) == []

    def test_a_price_is_a_number_or_unknown(self, cloud: Cloud) -> None:
        price = cloud.price(self.region, "no-such-type", "on-demand")
        assert price is None or price > 0

    def test_the_types_of_a_region_are_listed_by_name(self, cloud: Cloud) -> None:
        assert {"g5.xlarge", "m7i.large"} <= set(cloud.instance_types(self.region))

    def test_of_a_type_of_resource_that_it_does_not_know_it_says_so(self, cloud: Cloud) -> None:
        assert cloud.find_resource(self.region, "stack", "no:such/type:Type", "name") is None

    def test_the_account_is_named(self, cloud: Cloud) -> None:
        assert cloud.check()

    def test_old_failures_are_not_told_again(self, cloud: Cloud) -> None:
        group, _ = self.launched(cloud, 0)
        assert list(cloud.failures(group, since=FAR_AWAY)) == []


class WrongCredentials:
    """Tests of a cloud, as the fixture `stranger`, whose credentials are wrong."""

    region: str

    def test_wrong_credentials_are_permanent_and_said_in_words(self, stranger: Cloud) -> None:
        for ask in (stranger.check, lambda: stranger.instances(self.region)):
            with pytest.raises(PermanentError, match=WORDS) as caught:
                ask()
            assert "credentials" in caught.value.message
