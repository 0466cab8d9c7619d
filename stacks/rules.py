"""What the values of a stack's config may be, field by field, and how a fault is told."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from stacks.inputs import PROJECT, SECRETS, GroupInputs, StackName, key_of, parse_stack_name

LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365)
"""What CloudWatch takes as the days a log group is kept, up to a year."""
LOOPBACK = r"http://(?:127\.0\.0\.1|localhost)(?::\d+)?"


@dataclass(frozen=True, slots=True)
class Rule:
    """A test of one value and what to say when it fails."""

    holds: Callable[[Any], bool]
    must: str  # goes on after "it must be"


def _like(pattern: str) -> Callable[[Any], bool]:
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(str(value)) is not None


def _between(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: low <= value <= high


def _each(pattern: str) -> Callable[[Any], bool]:
    compiled = re.compile(pattern)
    return lambda values: bool(values) and all(compiled.fullmatch(value) for value in values)


def _is_network(text: str) -> bool:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return False
    return network.version == 4 and network.is_private and 16 <= network.prefixlen <= 20


COMMON: dict[str, Rule] = {
    "market": Rule(lambda value: value in ("spot", "on-demand"), "spot or on-demand"),
    "min": Rule(_between(0, 10_000), "0 to 10000"),
    "max": Rule(_between(1, 10_000), "1 to 10000"),
    "slots": Rule(_between(1, 256), "1 to 256 executions at a time"),
    "disk_gb": Rule(_between(8, 16_384), "8 to 16384 GiB"),
    "max_price_usd": Rule(
        lambda value: value is None or value > 0, "a price above 0 in US dollars an hour"
    ),
    "channel": Rule(_like(r"[a-z][a-z0-9-]*"), "a channel's name, such as stable"),
    "agent_version": Rule(_like(r"|\d+(\.\d+)*[a-z0-9.+-]*"), "a version, such as 1.4.0"),
    "control_url": Rule(
        _like(rf"(?:https://[^\s/?#]+|{LOOPBACK})/?"),
        "where agents join, such as https://talkoot.example.org",
    ),
    "ca_fingerprint": Rule(_like(r"|[0-9a-f]{64}"), "64 hexadecimal digits (SHA-256)"),
    "release_public_key": Rule(
        _like(r"[A-Za-z0-9+/]{40,}={0,2}"), "the key that `talkoot release key` prints"
    ),
    "host": Rule(_like(r"[a-z0-9][a-z0-9.-]+\.[a-z]{2,}"), "a host's name"),
    "hosts": Rule(_between(1, 10), "1 to 10 machines"),
    "database_gb": Rule(_between(20, 16_384), "20 to 16384 GiB"),
    "backup_days": Rule(_between(1, 35), "1 to 35 days"),
    "access_log_days": Rule(_between(1, 3_650), "1 to 3650 days"),
    "queue_password": Rule(_like(r"[A-Za-z0-9-]{32,128}"), "32 to 128 letters, digits and -"),
    "namespace": Rule(_like(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"), "a Kubernetes namespace"),
    "version": Rule(_like(r"1\.\d\d"), "a Kubernetes version, such as 1.33"),
    "installation": Rule(
        _like(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?"), "1 to 32 small letters, digits and -"
    ),
    "cidr": Rule(_is_network, "a private network of /16 to /20, such as 10.64.0.0/16"),
    "repositories": Rule(_each(r"[a-z][a-z0-9-]{1,30}"), "names, such as executions,inference"),
    "flow_log_days": Rule(lambda value: value in LOG_DAYS, f"one of {LOG_DAYS}"),
    "code_days": Rule(_between(1, 3_650), "1 to 3650 days"),
    "log_days": Rule(_between(1, 3_650), "1 to 3650 days"),
    "web_origin": Rule(
        _like(rf"|https://[^\s/?#]+|{LOOPBACK}"), "an origin, such as https://talkoot.example.org"
    ),
    "owner": Rule(_like(r"[A-Za-z0-9 _.:/=+@-]{0,128}"), "a name of 128 plain characters at most"),
}
"""Rules of fields that mean the same on every cloud."""

BY_CLOUD: dict[str, dict[str, Rule]] = {
    "aws": {
        "instance_type": Rule(
            _like(r"[a-z][a-z0-9-]*\.[a-z0-9-]+"), "an EC2 instance type, such as m7i.large"
        ),
        "image": Rule(_like(r"ami-[0-9a-f]{8,17}"), "an image id, such as ami-0123456789abcdef0"),
        "account": Rule(_like(r"\d{12}"), "the account's 12 digits"),
        "certificate_arn": Rule(
            _like(r"arn:aws:acm:[a-z0-9-]+:\d{12}:certificate/\S+"), "a certificate's ARN (ACM)"
        ),
        "database_class": Rule(_like(r"db\.[a-z0-9-]+\.[a-z0-9-]+"), "such as db.m7g.large"),
        "database_version": Rule(_like(r"1[4-9](\.\d+)?"), "PostgreSQL 14 or newer, such as 16"),
        "queue_class": Rule(_like(r"cache\.[a-z0-9]+\.[a-z0-9]+"), "such as cache.t4g.small"),
        "queue_version": Rule(_like(r"[789]\.\d"), "a version of Valkey, such as 8.0"),
        "administrator_arns": Rule(
            lambda arns: not arns or _each(r"arn:aws:iam::\d{12}:(?:role|user)/\S+")(arns),
            "ARNs of roles or users",
        ),
        "public_api_cidrs": Rule(
            lambda blocks: "0.0.0.0/0" not in blocks, "address blocks of your own, not the world"
        ),
        "zones": Rule(
            lambda zones: len(set(zones)) == len(zones) <= 6 and _each("[a-z]")(zones),
            "letters of the region's zones, such as a,b",
        ),
        "control_principals": Rule(
            lambda arns: not arns or _each(r"arn:aws:(?:iam|sts)::\d{12}:\S+")(arns),
            "ARNs of roles or users",
        ),
        "state_bucket": Rule(_like(r"|[a-z0-9][a-z0-9.-]{2,62}"), "a bucket's name"),
        "image_parameter": Rule(_like(r"|/aws/service/\S+"), "a public parameter, /aws/service/…"),
        "disk_device": Rule(_like(r"/dev/\w+"), "the image's root device, such as /dev/xvda"),
    },
}


def faults(name: StackName, inputs: Any) -> list[str]:
    """Tell every value that breaks a rule, and every pair that does not go together."""
    rules = COMMON | BY_CLOUD.get(name.cloud, {})
    found = [
        _fault(item.name, getattr(inputs, item.name), rules[item.name])
        for item in fields(inputs)
        if item.name in rules and not rules[item.name].holds(getattr(inputs, item.name))
    ]
    if hasattr(inputs, "base_stack"):
        found += _base_faults(name, inputs.base_stack)
    if isinstance(inputs, GroupInputs):
        found += _group_faults(name, inputs)
    return found


def _fault(field: str, value: Any, rule: Rule) -> str:
    said = "missing" if value == "" else "not good" if field in SECRETS else repr(value)
    return f"{PROJECT}:{key_of(field)} is {said}; it must be {rule.must}."


def _base_faults(name: StackName, base_stack: str) -> Iterator[str]:
    try:
        base = parse_stack_name(base_stack)
    except ValueError as error:
        yield f"{PROJECT}:baseStack: {error}"
        return
    if base.kind != "base":
        yield f"{PROJECT}:baseStack is {base_stack!r}; it must be a stack that ends in -base."
    if (base.cloud, base.region) != (name.cloud, name.region):
        yield (
            f"{PROJECT}:baseStack is {base_stack!r}, in another cloud or region than "
            f"this stack ({name.cloud}, {name.region})."
        )


def _group_faults(name: StackName, inputs: GroupInputs) -> Iterator[str]:
    if inputs.group != name.group:
        yield f"{PROJECT}:group is {inputs.group!r}, but the stack's name says {name.group}."
    if inputs.min > inputs.max:
        yield f"{PROJECT}:min is {inputs.min}, above {PROJECT}:max, {inputs.max}."
    if inputs.max_price_usd is not None and inputs.market != "spot":
        yield f"{PROJECT}:maxPriceUsd is for spot machines; {PROJECT}:market is {inputs.market}."
