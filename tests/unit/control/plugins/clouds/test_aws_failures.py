"""Every way in which AWS says that a launch failed falls into the class that helps."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from control.domain.cloud_ports import FailureClass
from control.plugins.clouds.aws_failures import classify, failure_of

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)

# What AWS wrote, shortened after the words that count.
SAYINGS = {
    FailureClass.CAPACITY: """
        InsufficientInstanceCapacity
        We currently do not have sufficient p3.2xlarge capacity in the Availability Zone you requ
        Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity
        There is no Spot capacity available that matches your request. Launching EC2 instance fai
        Could not launch Spot Instances. SpotMaxPriceTooLow - Your Spot request price of 0.001 is
        Your Spot request price of 0.001 is lower than the minimum required Spot request fulfillm
        Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due
        InsufficientFreeAddressesInSubnet: There are not enough free addresses in subnet-1.
        Your instance type (g5.xlarge) is not supported in your requested Availability Zone
        Unsupported: Your instance type is not supported in your requested Availability Zone
        Something that nobody has ever read.
    """,
    FailureClass.QUOTA: """
        VcpuLimitExceeded
        You have requested more vCPU capacity than your current vCPU limit of 32 allows for the i
        You have requested more instances (21) than your current instance limit of 20 allows for
        Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count e
        Max spot instance count exceeded. Launching EC2 instance failed.
        VolumeLimitExceeded: Volume limit exceeded.
    """,
    FailureClass.THROTTLE: """
        RequestLimitExceeded
        Request limit exceeded. Launching EC2 instance failed.
        An internal error has occurred. Launching EC2 instance failed.
        Server.InternalError: Internal error on launch
    """,
    FailureClass.CONFIGURATION: """
        InvalidAMIID.NotFound
        The image id '[ami-0123]' does not exist. Launching EC2 instance failed.
        The security group 'sg-0' does not exist. Launching EC2 instance failed.
        Invalid IAM Instance Profile name. Launching EC2 instance failed.
        You are not authorized to perform this operation. Encoded authorization failure message: x
        Client.InternalError: Client error on launch
        Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state
        The requested configuration is currently not supported. Please check the documentation
        The specified instance type is Unsupported.
    """,
}
TABLE = [
    (kind, line.strip()) for kind, text in SAYINGS.items() for line in text.strip().split("\n")
]


@pytest.mark.parametrize(("kind", "message"), TABLE, ids=lambda one: str(one)[:40])
def test_a_saying_has_its_class(kind: FailureClass, message: str) -> None:
    assert classify(message) is kind


def activity(**given: Any) -> dict[str, Any]:
    """Make an activity as DescribeScalingActivities answers it."""
    usual: dict[str, Any] = {
        "Description": "Launching a new EC2 instance.  Status Reason: no capacity",
        "StartTime": AT,
        "EndTime": AT,
        "StatusCode": "Failed",
        "StatusMessage": "InsufficientInstanceCapacity",
        "Details": json.dumps({"Subnet ID": "subnet-1", "Availability Zone": "eu-west-1c"}),
    }
    return usual | given


def test_a_failed_launch_says_when_where_and_why() -> None:
    found = failure_of(activity(), "gpu")
    assert found is not None
    assert (found.at, found.group, found.kind, found.zone) == (
        (AT, "gpu", FailureClass.CAPACITY, "eu-west-1c")
    )
    assert found.message == "InsufficientInstanceCapacity"


@pytest.mark.parametrize(
    "given",
    [
        {"StatusCode": "Successful"},
        {"StatusCode": "InProgress"},
        {"Description": "Terminating EC2 instance: i-1"},
    ],
)
def test_what_went_well_or_launched_nothing_is_no_failure(given: dict[str, Any]) -> None:
    assert failure_of(activity(**given), "gpu") is None


@pytest.mark.parametrize("details", ["", "no json", "[]", "{}"])
def test_a_failure_without_a_zone_is_one_too(details: str) -> None:
    found = failure_of(activity(Details=details, StatusMessage=None, Cause=""), "gpu")
    assert found is not None
    assert found.zone == ""
    assert found.message
