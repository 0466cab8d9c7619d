"""Amazon's cloud: machines by EC2, groups by Auto Scaling, reclaim notices by SQS."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from control.domain.cloud_ports import (
    GroupCapacity,
    GroupRef,
    Instance,
    LaunchFailure,
    ReclaimNotice,
)
from control.domain.errors import PermanentError, TemporaryError
from control.plugins.clouds import aws_failures, aws_machines, aws_notices, aws_resources
from control.plugins.clouds.aws_calls import Clients, code_of, explained, message_of
from stacks.inputs import reclaim_queue_name

PAGE = 500
LIST_S = 25.0
"""A list of many pages that is not whole by then is given up."""
HOME = "us-east-1"
"""Where we ask who we are when no region is named."""
NOTICE_PAGES = 10
_KEYS = {
    "AWS_ACCESS_KEY_ID": "aws_access_key_id",
    "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
    "AWS_SESSION_TOKEN": "aws_session_token",
}
_GONE = ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed")
_NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")


class AwsCloud:
    """One account. Every call is safe to repeat and safe among threads."""

    def __init__(self, installation: str, clients: Clients) -> None:
        self._installation = installation
        self._clients = clients
        self._queues: dict[str, str] = {}  # region to URL

    @classmethod
    def from_url(cls, url: str, *, options: Mapping[str, str]) -> Self:
        """Build from `aws:` or `aws:?endpoint=https://host:port`; makes no call.

        Credentials come from the options, else by boto3's own chain: environment, then the
        machine's role.
        """
        endpoint = dict(parse_qsl(urlsplit(url).query)).get("endpoint")
        keys = {ours: options[name] for name, ours in _KEYS.items() if name in options}
        return cls(options["installation"], Clients(endpoint, keys))

    def instances(self, region: str) -> Sequence[Instance]:
        """List our machines of every group, whole or not at all."""
        ec2 = self._client("ec2", region)
        with explained(f"list the machines in {region}"):
            pages = ec2.get_paginator("describe_instances").paginate(
                Filters=aws_machines.filters(self._installation),
                PaginationConfig={"PageSize": PAGE},
            )
            return aws_machines.machines_in(_in_time(pages, region), region)

    def capacity(self, group: GroupRef) -> GroupCapacity | None:
        """Read the Auto Scaling group."""
        found = self._describe(group)
        if found is None:
            return None
        suspended = frozenset(str(one["ProcessName"]) for one in found["SuspendedProcesses"])
        return GroupCapacity(
            found["MinSize"], found["MaxSize"], found["DesiredCapacity"], suspended
        )

    def failures(self, group: GroupRef, *, since: datetime) -> Sequence[LaunchFailure]:
        """Read the group's activities, newest first as AWS gives them, back to `since`."""
        scaling = self._client("autoscaling", group.region)
        found: list[LaunchFailure] = []
        with explained(f"read what became of launches of group {group.name}"):
            pages = scaling.get_paginator("describe_scaling_activities").paginate(
                AutoScalingGroupName=group.resource, PaginationConfig={"PageSize": 100}
            )
            for page in _in_time(pages, group.region):
                activities = page["Activities"]
                for activity in activities:
                    failure = aws_failures.failure_of(activity, group.name)
                    if failure is not None and failure.at > since:
                        found.append(failure)
                if activities and activities[-1]["StartTime"] <= since:
                    break
        return sorted(found, key=lambda one: one.at)

    def may_terminate(self, group: GroupRef, instance_id: str) -> str | None:
        """Foresee the group's refusals."""
        del instance_id
        found = self.capacity(group)
        if found is None:
            return None
        if "Terminate" in found.suspended:
            return (
                f"The process Terminate of the Auto Scaling group {group.resource} is suspended: "
                "resume it."
            )
        if found.desired <= found.minimum:
            return f"The Auto Scaling group {group.resource} is at its minimum of {found.minimum}."
        return None

    def terminate(self, group: GroupRef, instance_id: str, *, replace: bool = False) -> None:
        """End the machine within its group, in one call that lowers the number as well."""
        member = self._member(group.region, instance_id)
        if member is not None and not replace and not _is_ending(member):
            self._refuse_below_minimum(group)
        self._end(group.region, instance_id, member, keep_number=replace)

    def end_orphan(self, region: str, instance_id: str) -> None:
        """End a machine, out of its Auto Scaling group where one still holds it."""
        self._end(region, instance_id, self._member(region, instance_id), keep_number=False)

    def console_output(self, region: str, instance_id: str) -> str:
        """Read the last 64 KiB of the serial console, as EC2 keeps it."""
        ec2 = self._client("ec2", region)
        with explained(f"read the console of {instance_id}"):
            try:
                answer = ec2.get_console_output(InstanceId=instance_id)
            except ec2.exceptions.ClientError as error:
                if code_of(error) in _GONE:
                    return ""
                raise
        return str(answer.get("Output") or "")  # boto3 has undone the base64

    def notices(self, region: str) -> Sequence[ReclaimNotice]:
        """Read the region's queue of interruption warnings; none where no stack made one."""
        url = self._queue_url(region)
        if not url:
            return []
        sqs = self._client("sqs", region)
        found: dict[str, ReclaimNotice] = {}
        with explained(f"read the reclaim notices of {region}"):
            for _ in range(NOTICE_PAGES):
                messages = sqs.receive_message(
                    QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=20
                ).get("Messages", [])
                for message in messages:
                    notice = aws_notices.notice_of(message)
                    if notice is not None:
                        found[notice.instance_id] = notice
                    else:  # of no use to anybody
                        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                if not messages:
                    break
        return list(found.values())

    def forget(self, region: str, notices: Sequence[ReclaimNotice]) -> None:
        """Delete messages from the queue."""
        url = self._queue_url(region)
        sqs = self._client("sqs", region)
        with explained(f"drop reclaim notices of {region}"):
            for notice in notices if url else ():
                sqs.delete_message(QueueUrl=url, ReceiptHandle=notice.receipt)

    def find_resource(self, region: str, stack: str, type_: str, name: str) -> str | None:
        """Look for a group's two resources: launch template and Auto Scaling group."""
        find = aws_resources.FINDERS.get(type_)
        if find is None:
            return None
        with explained(f"look for {name}"):
            return find(self._clients, region, stack, name)

    def price(self, region: str, instance_type: str, market: str) -> float | None:
        """Read the dearest zone's spot price; on-demand prices are configured a group."""
        if market != "spot":
            return None
        ec2 = self._client("ec2", region)
        with explained(f"read the spot price of {instance_type} in {region}"):
            rows = ec2.describe_spot_price_history(
                InstanceTypes=[instance_type],
                ProductDescriptions=["Linux/UNIX", "Linux/UNIX (Amazon VPC)"],
                MaxResults=100,
            )["SpotPriceHistory"]
        newest: dict[str, tuple[datetime, float]] = {}
        for row in rows:
            seen = (row["Timestamp"], float(row["SpotPrice"]))
            newest[row["AvailabilityZone"]] = max(seen, newest.get(row["AvailabilityZone"], seen))
        return max((price for _, price in newest.values()), default=None)

    def instance_types(self, region: str) -> Collection[str]:
        """List the types that any zone of the region offers."""
        ec2 = self._client("ec2", region)
        with explained(f"list the instance types of {region}"):
            pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
                LocationType="region", PaginationConfig={"PageSize": 1000}
            )
            found = [one for page in pages for one in page["InstanceTypeOfferings"]]
        return {str(one["InstanceType"]) for one in found}

    def check(self) -> str:
        """Ask AWS who we are."""
        with explained("ask who we are"):
            caller = self._client("sts", HOME).get_caller_identity()
        return f"AWS account {caller['Account']}, as {caller['Arn']}"

    # -- parts of it -----------------------------------------------------------------------------
    def _client(self, service: str, region: str) -> Any:
        return self._clients.of(service, region)

    def _describe(self, group: GroupRef) -> dict[str, Any] | None:
        if not group.resource:
            return None
        scaling = self._client("autoscaling", group.region)
        with explained(f"read the group {group.name}"):
            answer = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group.resource])
        return next(iter(answer["AutoScalingGroups"]), None)

    def _refuse_below_minimum(self, group: GroupRef) -> None:
        found = self._describe(group)
        if found is not None and found["DesiredCapacity"] <= found["MinSize"]:
            raise PermanentError(
                f"The Auto Scaling group {group.resource} is at its minimum of {found['MinSize']}."
            )

    def _member(self, region: str, instance_id: str) -> dict[str, Any] | None:
        """Find the machine's place in an Auto Scaling group; None when it has none."""
        scaling = self._client("autoscaling", region)
        with explained(f"find the group of {instance_id}"):
            answer = scaling.describe_auto_scaling_instances(InstanceIds=[instance_id])
        return next(iter(answer["AutoScalingInstances"]), None)

    def _end(
        self, region: str, instance_id: str, member: dict[str, Any] | None, *, keep_number: bool
    ) -> None:
        if member is None:
            self._end_alone(region, instance_id)
        elif not _is_ending(member):
            self._end_member(region, member, keep_number=keep_number)

    def _end_alone(self, region: str, instance_id: str) -> None:
        ec2 = self._client("ec2", region)
        with explained(f"end the machine {instance_id}"):
            try:
                ec2.terminate_instances(InstanceIds=[instance_id])
            except ec2.exceptions.ClientError as error:
                if code_of(error) not in _GONE:
                    raise

    def _end_member(self, region: str, member: dict[str, Any], *, keep_number: bool) -> None:
        scaling = self._client("autoscaling", region)
        instance_id = member["InstanceId"]
        with explained(f"end the machine {instance_id}"):
            try:
                scaling.set_instance_protection(
                    AutoScalingGroupName=member["AutoScalingGroupName"],
                    InstanceIds=[instance_id],
                    ProtectedFromScaleIn=False,
                )
                scaling.terminate_instance_in_auto_scaling_group(
                    InstanceId=instance_id, ShouldDecrementDesiredCapacity=not keep_number
                )
            except scaling.exceptions.ClientError as error:
                if not _says_gone(error):
                    raise

    def _queue_url(self, region: str) -> str:
        if region not in self._queues:
            sqs = self._client("sqs", region)
            with explained(f"find the queue of reclaim notices in {region}"):
                try:
                    name = reclaim_queue_name(self._installation)
                    self._queues[region] = sqs.get_queue_url(QueueName=name)["QueueUrl"]
                except sqs.exceptions.ClientError as error:
                    if code_of(error) not in _NO_QUEUE:
                        raise
                    return ""  # a stack may make it later
        return self._queues[region]


def _in_time(pages: Any, region: str) -> Iterator[Mapping[str, Any]]:
    begin = time.monotonic()
    for page in pages:
        yield page
        if time.monotonic() - begin > LIST_S:
            raise TemporaryError(f"AWS lists too slowly in {region}.", 30.0)


def _is_ending(member: Mapping[str, Any]) -> bool:
    return str(member["LifecycleState"]).startswith("Terminat")


def _says_gone(error: Any) -> bool:
    """Say whether Auto Scaling does not know the machine any more (a ValidationError in words)."""
    words = message_of(error).lower()
    return code_of(error) == "ValidationError" and ("not found" in words or "not part of" in words)
