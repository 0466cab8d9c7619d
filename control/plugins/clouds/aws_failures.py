"""What AWS says of a launch that failed, put into our classes. Pure.

An Auto Scaling group tells it minutes later in its activities, sometimes with EC2's error code
("Could not launch Spot Instances. InsufficientInstanceCapacity - …"), often in words only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from control.domain.cloud_ports import FailureClass, LaunchFailure

_BY_CODE: dict[FailureClass, tuple[str, ...]] = {
    FailureClass.CAPACITY: (
        "InsufficientCapacityOnOutpost", "InsufficientFreeAddressesInSubnet",
        "InsufficientHostCapacity", "InsufficientInstanceCapacity",
        "InsufficientReservedInstanceCapacity", "InsufficientCapacity",
        "ReservationCapacityExceeded", "SpotMaxPriceTooLow", "UnfulfillableCapacity",
    ),
    FailureClass.QUOTA: (
        "AddressLimitExceeded", "InstanceLimitExceeded", "MaxIOPSLimitExceeded",
        "MaxSpotFleetRequestCountExceeded", "MaxSpotInstanceCountExceeded",
        "NetworkInterfaceLimitExceeded", "QuotaExceeded", "ServiceQuotaExceededException",
        "VcpuLimitExceeded", "VolumeLimitExceeded",
    ),
    FailureClass.THROTTLE: (
        "InternalError", "InternalFailure", "RequestLimitExceeded", "ServiceUnavailable",
        "Throttling", "Unavailable",
    ),
    FailureClass.CONFIGURATION: (
        "AuthFailure", "InvalidAMIID", "InvalidBlockDeviceMapping", "InvalidGroup",
        "InvalidIamInstanceProfileName", "InvalidKMSKey", "InvalidKeyPair",
        "InvalidLaunchTemplateId", "InvalidParameter", "InvalidSecurityGroupID",
        "InvalidSnapshot", "InvalidSubnetID", "MissingParameter", "UnauthorizedOperation",
        "Unsupported", "ValidationError",
    ),
}  # fmt: skip
_BEFORE_CODES: tuple[tuple[str, FailureClass], ...] = (
    # In one zone only: the group goes on to the next.
    (r"not supported in your requested availability zone", FailureClass.CAPACITY),
    (r"client error on launch", FailureClass.CONFIGURATION),  # mostly a key we may not use
)
_BY_WORDS: tuple[tuple[str, FailureClass], ...] = (
    (r"do not have sufficient .*capacity", FailureClass.CAPACITY),
    (r"no spot capacity|insufficient capacity|capacity .*not available", FailureClass.CAPACITY),
    (r"lower than the minimum required spot", FailureClass.CAPACITY),
    (r"insufficient free addresses|not enough free addresses", FailureClass.CAPACITY),
    (r"requested more (?:vcpu capacity|instances)\b.* than your", FailureClass.QUOTA),
    (r"max spot instance count exceeded|exceeds? your .*quota|quota exceeded", FailureClass.QUOTA),
    (r"maximum number of .* (?:reached|exceeded)|limit .*exceeded for", FailureClass.QUOTA),
    (r"request limit exceeded|rate exceeded", FailureClass.THROTTLE),
    (r"internal error has occurred|service is unavailable", FailureClass.THROTTLE),
    (r"does not exist|not authorized|invalid", FailureClass.CONFIGURATION),
    (r"configuration is currently not supported|is not supported", FailureClass.CONFIGURATION),
    (r"launch template .*(?:version|found)|deregistered|no longer", FailureClass.CONFIGURATION),
)
_CLASS_OF = {code: kind for kind, codes in _BY_CODE.items() for code in codes}
_CODE = re.compile(r"\b[A-Z][A-Za-z0-9]{5,}\b")
_FAILED = ("Failed", "Cancelled")


def classify(message: str) -> FailureClass:
    """Choose the class by error code, else by words; what is unknown is a lack of capacity.

    That one backs off and tries again, and shows the cloud's words: it closes nothing for good.
    """
    for words, kind in _BEFORE_CODES:
        if re.search(words, message, re.IGNORECASE):
            return kind
    for found in _CODE.finditer(message):
        kind = _CLASS_OF.get(found[0])
        if kind is not None:
            return kind
    for words, kind in _BY_WORDS:
        if re.search(words, message, re.IGNORECASE):
            return kind
    return FailureClass.CAPACITY


def failure_of(activity: Mapping[str, Any], group: str) -> LaunchFailure | None:
    """Read a scaling activity; None for one that did not fail, or did not launch."""
    if activity.get("StatusCode") not in _FAILED:
        return None
    if not str(activity.get("Description", "")).startswith("Launching"):
        return None
    message = str(activity.get("StatusMessage") or activity.get("Cause") or "It gave no reason.")
    at = activity.get("EndTime") or activity["StartTime"]
    return LaunchFailure(at, group, classify(message), message, _zone(activity))


def _zone(activity: Mapping[str, Any]) -> str:
    try:
        details = json.loads(activity.get("Details") or "{}")
    except ValueError:
        return ""
    return str(details.get("Availability Zone", "")) if isinstance(details, dict) else ""
