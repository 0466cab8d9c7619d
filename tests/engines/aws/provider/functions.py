"""The data functions that the programs call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.engines.aws.provider.account import Account
from tests.engines.aws.provider.kinds import Values

IMAGE = "ami-0123456789abcdef0"


def _region(aws: Account, given: Values) -> Values:
    return {"id": aws.region, "name": aws.region, "region": aws.region}


def _caller(aws: Account, given: Values) -> Values:
    said = aws("sts").get_caller_identity()
    return {"id": said["Account"], "accountId": said["Account"], "arn": said["Arn"]}


def _partition(aws: Account, given: Values) -> Values:
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com"}


def _zones(aws: Account, given: Values) -> Values:
    found = aws("ec2").describe_availability_zones()["AvailabilityZones"]
    names = sorted(zone["ZoneName"] for zone in found)
    return {"id": aws.region, "names": names}


def _parameter(aws: Account, given: Values) -> Values:
    # Amazon's public parameters of other makers' images are not in moto.
    if given["name"].startswith("/aws/service/debian/"):
        name = given["name"]
        about = {"name": name, "arn": aws.arn("ssm", f"parameter{name}")}
        return {"id": name, "value": IMAGE, "type": "String", "version": 1, **about}
    found = aws("ssm").get_parameter(Name=given["name"])["Parameter"]
    value = {"value": found["Value"], "type": found["Type"], "version": found["Version"]}
    return {"id": given["name"], "name": given["name"], "arn": found["ARN"], **value}


FUNCTIONS: Mapping[str, Callable[[Account, Values], Values]] = {
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:ssm/getParameter:getParameter": _parameter,
}
