"""Scaling activities as Amazon words them: the only place where a failed launch can be seen."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

_HISTORY = timedelta(days=42)
_ids = itertools.count(1)


def now() -> datetime:
    return datetime.now(UTC)  # the world's clock is this machine's


class Activities:
    """What each group did, newest first."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)

    def begin(
        self, group: tuple[str, str], description: str, cause: str, **details: str
    ) -> dict[str, Any]:
        """Open an activity of `group` (region and name)."""
        activity = {
            "ActivityId": f"{next(_ids):08x}-0000-4000-8000-000000000000",
            "AutoScalingGroupName": group[1],
            "Description": description,
            "Cause": f"At {now():%Y-%m-%dT%H:%M:%SZ} {cause}",
            "StartTime": now(),
            "StatusCode": "InProgress",
            "Progress": 50,
            "Details": json.dumps({name.replace("_", " "): text for name, text in details.items()}),
        }
        self._of[group].insert(0, activity)
        return activity

    def of(self, group: tuple[str, str]) -> Sequence[dict[str, Any]]:
        oldest = now() - _HISTORY
        return [activity for activity in self._of[group] if activity["StartTime"] > oldest]

    def all(self) -> Sequence[dict[str, Any]]:
        return [activity for activities in self._of.values() for activity in activities]


def succeed(activity: dict[str, Any]) -> None:
    activity.update(StatusCode="Successful", Progress=100, EndTime=now())


def fail(activity: dict[str, Any], message: str) -> None:
    activity.update(StatusCode="Failed", Progress=100, EndTime=now(), StatusMessage=message)
    activity["Description"] = f"{activity['Description']}.  Status Reason: {message}"


def no_capacity(instance_type: str, zone: str, others: Sequence[str], market: str) -> str:
    if market == "spot":
        return (
            "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity "
            "due to your request configuration. Please adjust your request and try again. "
            "Launching EC2 instance failed."
        )
    elsewhere = f" or choosing {', '.join(others)}" if others else ""
    return (
        f"We currently do not have sufficient {instance_type} capacity in the Availability Zone "
        f"you requested ({zone}). Our system will be working on provisioning additional capacity. "
        f"You can currently get {instance_type} capacity by not specifying an Availability Zone "
        f"in your request{elsewhere}. Launching EC2 instance failed."
    )


def over_quota(market: str, limit: int) -> str:
    if market == "spot":
        return (
            "Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance "
            "count exceeded. Launching EC2 instance failed."
        )
    return (
        f"You have requested more vCPU capacity than your current vCPU limit of {limit} allows for "
        "the instance bucket that the specified instance type belongs to. Please visit "
        "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit. "
        "Launching EC2 instance failed."
    )


def no_image(image: str) -> str:
    return f"The image id '[{image}]' does not exist. Launching EC2 instance failed."
