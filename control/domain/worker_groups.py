"""What an administrator says of a worker group, its faults, and the stack config it becomes.

A group is one offering: several markets become several groups of one environment, tried in order
(infrastructure.md 3.3). Durations in seconds, money in US dollars an hour or a month.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from control.domain.errors import FieldError

CLOUDS = ("aws", "azure", "gcp", "openstack")
MARKETS = ("spot", "on-demand")
NAME_LENGTH = 40
"""So that what a cloud derives from it stays within its 63 signs."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BASE = re.compile(r"(?P<env>[a-z0-9]+)-(?P<cloud>[a-z]+)-(?P<region>[a-z0-9-]+)-base")
_ADDRESS = re.compile(r"https://[^\s/]|http://(?:127\.0\.0\.1|localhost)(?:[:/]|$)")
"""Plain HTTP only on this machine, as the stacks' own check has it."""
_DEVICE = re.compile(r"/dev/\w+")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_REGION_KEY = {
    "aws": "aws:region",
    "azure": "azure-native:location",
    "gcp": "gcp:region",
    "openstack": "openstack:region",
}


@dataclass(frozen=True, slots=True)
class NewGroup:
    """A worker group as it is asked for; "" and None take the usual."""

    name: str
    base_stack: str  # <env>-<cloud>-<region>-base
    instance_type: str
    image: str
    cloud: str = ""  # "": the base stack's
    region: str = ""  # "": the base stack's
    markets: tuple[str, ...] = ("on-demand",)  # in the order they are tried
    environment: str = ""  # slug; "": the name. Made when it is not there.
    minimum: int = 0
    maximum: int = 5
    slots: int = 1  # executions at a time on one machine
    spare: int = 0  # idle machines kept warm
    idle_ttl_s: int = 300
    boot_grace_s: int = 900
    burst: int = 20  # machines started at once before any has come up
    price_per_hour_usd: float = 0.0
    hourly_budget_usd: float | None = None
    monthly_budget_usd: float | None = None
    max_price_usd: float | None = None  # spot only
    disk_gb: int = 100
    disk_device: str = ""  # the image's root device; "": the stack's usual
    channel: str = "stable"
    agent_version: str = ""
    control_url: str = ""
    ca_fingerprint: str = ""
    release_public_key: str = ""  # what signs agents' releases; "": ours
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Offering:
    """One group to make: `inputs` are the keys and texts of its stack's config."""

    name: str
    market: str
    stack: str
    inputs: Mapping[str, str]


BOUNDS = {
    "minimum": (0, 10_000),
    "maximum": (0, 10_000),
    "slots": (1, 1024),
    "spare": (0, 10_000),
    "idle_ttl_s": (0, 7 * 24 * 3600),
    "boot_grace_s": (60, 6 * 3600),
    "burst": (1, 10_000),
    "disk_gb": (8, 16_384),
}
"""Field to its least and its greatest value."""
MONEY = ("price_per_hour_usd", "hourly_budget_usd", "monthly_budget_usd", "max_price_usd")


# -- faults ---------------------------------------------------------------------------------------
def faults_of(new: NewGroup) -> list[FieldError]:
    """Name every fault that can be seen without asking the cloud."""
    return [
        *_text_faults(new),
        *_place_faults(new),
        *_market_faults(new),
        *_type_faults(new),
        *number_faults({name: getattr(new, name) for name in (*BOUNDS, *MONEY)}),
    ]


def _text_faults(new: NewGroup) -> Iterator[FieldError]:
    if not _NAME.fullmatch(new.name) or len(new.name) > NAME_LENGTH:
        yield FieldError(
            "name", f"A name has small letters, digits and - inside (at most {NAME_LENGTH})."
        )
    if new.environment and not _SLUG.fullmatch(new.environment):
        yield FieldError("environment", "A slug has small letters, digits, - _ and .")
    if not new.image.strip():
        yield FieldError("image", "Name the machine image by its id.", "required")
    for field, text, limit in (
        ("image", new.image, 300),
        ("owner", new.owner, 150),
        ("channel", new.channel, 32),
        ("agent_version", new.agent_version, 64),
        ("control_url", new.control_url, 300),
    ):
        if len(text) > limit or not text.isprintable():
            yield FieldError(field, f"At most {limit} characters on one line.")
    if new.disk_device and not _DEVICE.fullmatch(new.disk_device):
        yield FieldError("disk_device", "The image's root device, such as /dev/xvda.")
    if not new.channel:
        yield FieldError("channel", "Name a channel of agent releases.", "required")
    if new.control_url and not _ADDRESS.match(new.control_url):
        yield FieldError("control_url", "Agents join over HTTPS: https://HOST.")
    if new.ca_fingerprint and not _FINGERPRINT.fullmatch(new.ca_fingerprint):
        yield FieldError("ca_fingerprint", "SHA-256 as 64 small hexadecimal digits.")


def _place_faults(new: NewGroup) -> Iterator[FieldError]:
    base = _BASE.fullmatch(new.base_stack)
    if base is None or base["cloud"] not in CLOUDS:
        yield FieldError(
            "base_stack",
            f"A base stack is named <env>-<cloud>-<region>-base; clouds: {', '.join(CLOUDS)}.",
        )
        return
    for field, given in (("cloud", new.cloud), ("region", new.region)):
        if given and given != base[field]:
            yield FieldError(
                field, f"The base stack {new.base_stack} is in {base[field]}, not in {given}."
            )


def _market_faults(new: NewGroup) -> Iterator[FieldError]:
    if not new.markets:
        yield FieldError("markets", f"Name at least one of {', '.join(MARKETS)}.", "required")
    for market in new.markets:
        if market not in MARKETS:
            yield FieldError("markets", f"{market!r} is not one of {', '.join(MARKETS)}.")
    if len(set(new.markets)) < len(new.markets):
        yield FieldError("markets", "A market is named once.")
    if new.max_price_usd is not None and "spot" not in new.markets:
        yield FieldError("max_price_usd", "Only spot machines have a highest price.")


def _type_faults(new: NewGroup) -> Iterator[FieldError]:
    if not _TYPE.fullmatch(new.instance_type):
        yield FieldError("instance_type", "Name an instance type, such as g5.xlarge.")


def unknown_type(new: NewGroup, known: Collection[str]) -> FieldError | None:
    """Name the fault of a type that is not among those that the cloud has there."""
    if new.instance_type in known:
        return None
    near = get_close_matches(new.instance_type, known, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return FieldError("instance_type", f"{new.region} has no {new.instance_type!r}.{hint}")


def number_faults(given: Mapping[str, float | None]) -> list[FieldError]:
    """Name the numbers out of range; `given` is a group's or part of it."""
    faults: list[FieldError] = []
    for name, value in given.items():
        if name in BOUNDS and (value is None or not BOUNDS[name][0] <= value <= BOUNDS[name][1]):
            least, most = BOUNDS[name]
            faults.append(FieldError(name, f"A whole number from {least} to {most} is expected."))
        if name in MONEY and value is not None and not 0 <= value <= 1_000_000:
            faults.append(FieldError(name, "US dollars from 0 to 1000000 are expected."))
    right = {name: value for name, value in given.items() if value and value > 0}
    most = given.get("maximum")
    if most is None or any(fault.field == "maximum" for fault in faults):
        return faults
    if right.get("minimum", 0) > most:
        faults.append(FieldError("minimum", f"More than the maximum of {most:.0f}."))
    if right.get("spare", 0) > most:
        faults.append(FieldError("spare", f"More idle machines than the maximum of {most:.0f}."))
    return faults


# -- what it becomes ------------------------------------------------------------------------------
def completed(new: NewGroup) -> NewGroup:
    """Fill in what the base stack's name says, and the environment; `new` has no faults."""
    base = _BASE.fullmatch(new.base_stack)
    assert base is not None
    return replace(
        new, cloud=base["cloud"], region=base["region"], environment=new.environment or new.name
    )


def offerings_of(new: NewGroup) -> tuple[Offering, ...]:
    """Split a completed group by market: one keeps the name, several get the market's behind it."""
    return tuple(_offering(new, market) for market in new.markets)


def _offering(new: NewGroup, market: str) -> Offering:
    name = new.name if len(new.markets) == 1 else f"{new.name}-{market}"
    max_price = new.max_price_usd if market == "spot" else None
    given: dict[str, object] = {
        "group": name,
        "baseStack": new.base_stack,
        "instanceType": new.instance_type,
        "image": new.image,
        "market": market,
        "min": new.minimum,
        "max": new.maximum,
        "slots": new.slots,
        "diskGb": new.disk_gb,
        "diskDevice": new.disk_device,
        "maxPriceUsd": max_price,
        "channel": new.channel,
        "agentVersion": new.agent_version,
        "controlUrl": new.control_url,
        "caFingerprint": new.ca_fingerprint,
        "releasePublicKey": new.release_public_key,
        "owner": new.owner,
    }
    inputs = {key: str(value) for key, value in given.items() if value not in (None, "")}
    return Offering(name, market, f"{new.base_stack.removesuffix('base')}wg-{name}", inputs)


def config_version(inputs: Mapping[str, str]) -> str:
    """Name this config: another one means that the stack must be brought up to it."""
    return hashlib.sha256(json.dumps(dict(inputs), sort_keys=True).encode()).hexdigest()[:12]


def config_of(cloud: str, region: str, inputs: Mapping[str, str]) -> dict[str, str]:
    """Give the whole config of a group's stack, for one without a file in Git."""
    return {_REGION_KEY[cloud]: region, **inputs}


def render_config(cloud: str, region: str, inputs: Mapping[str, str]) -> str:
    """Write `Pulumi.<stack>.yaml` for Git. The size is never in it: the service keeps that."""
    lines = [
        f"# Worker group {inputs['group']}, written by `talkoot group`. Git holds the bounds; the",
        "# number of machines is the service's and is in no file.",
        "config:",
        f"  {_REGION_KEY[cloud]}: {json.dumps(region)}",
        *(f"  talkoot:{key}: {json.dumps(value)}" for key, value in inputs.items()),
    ]
    return "\n".join(lines) + "\n"
