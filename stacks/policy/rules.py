"""What no plan of ours may contain. Each rule is a function from the plan to its complaints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from stacks.inputs import TAG_ENVIRONMENT, TAG_INSTALLATION, TAG_MANAGED_BY, TAG_STACK
from stacks.policy import documents
from stacks.policy.planned import Planned, as_data

Plan = Sequence[Planned]

TAGS = frozenset({TAG_INSTALLATION, TAG_ENVIRONMENT, TAG_STACK, TAG_MANAGED_BY})
WORLD = ("0.0.0.0/0", "::/0")
DATA = frozenset(
    {
        "aws:s3/bucket:Bucket",
        "aws:kms/key:Key",
        "aws:ecr/repository:Repository",
        "aws:rds/instance:Instance",
        "aws:eks/cluster:Cluster",
    }
)
"""Types that hold what cannot be made again."""
HIDDEN = "[secret]"
"""What a preview shows of a secret."""


def broken(plan: Plan) -> list[str]:
    """Tell every rule that a plan breaks, each with its resource and what to do."""
    return [complaint for rule in RULES for complaint in rule(plan)]


def no_public_address(plan: Plan) -> Iterator[str]:
    """Only gateways and the load balancer have one."""
    flags = {
        "Subnet": "mapPublicIpOnLaunch",
        "Instance": "associatePublicIpAddress",
    }
    for planned in plan:
        if _is_true(planned.properties.get(flags.get(planned.kind, ""))):
            yield f"{planned}: gives machines a public address."
        if _is_true(planned.properties.get("publiclyAccessible")):
            yield f"{planned}: is reachable from the world; publiclyAccessible must be false."
        if planned.kind == "Eip" and planned.properties.get("instance"):
            yield f"{planned}: gives a machine a public address."
        for interface in planned.properties.get("networkInterfaces") or []:
            if str(interface.get("associatePublicIpAddress")).lower() != "false":
                yield f"{planned}: its interface must refuse a public address by name."


def only_tls_from_the_world(plan: Plan) -> Iterator[str]:
    """443 on the load balancer is the one door."""
    has_front = any(planned.kind == "LoadBalancer" for planned in plan)
    for planned in plan:
        properties = planned.properties
        if planned.kind == "SecurityGroup" and (
            properties.get("ingress") or properties.get("egress")
        ):
            yield f"{planned}: write its rules as resources of their own."
        if planned.kind == "SecurityGroupIngressRule" and _is_world(properties):
            ports = (properties.get("fromPort"), properties.get("toPort"))
            if ports != (443, 443) or not has_front:
                yield f"{planned}: lets the world in; only 443 of a load balancer may."
        if planned.kind == "Listener" and properties.get("protocol") not in ("HTTPS", "TLS"):
            yield f"{planned}: listens without TLS."
        network = properties.get("vpcConfig") or {}
        blocks = network.get("publicAccessCidrs") or list(WORLD)
        if network.get("endpointPublicAccess") and set(blocks) & set(WORLD):
            yield f"{planned}: its API is open to the world; set talkoot:publicApiCidrs."


def encrypted(plan: Plan) -> Iterator[str]:
    """Whatever is stored, is stored encrypted."""
    needed: dict[str, Callable[[Any], bool]] = {
        "aws:rds/instance:Instance": lambda p: _is_true(p.get("storageEncrypted")),
        "aws:elasticache/replicationGroup:ReplicationGroup": lambda p: (
            _is_true(p.get("atRestEncryptionEnabled"))
            and _is_true(p.get("transitEncryptionEnabled"))
        ),
        "aws:sqs/queue:Queue": lambda p: bool(
            p.get("kmsMasterKeyId") or _is_true(p.get("sqsManagedSseEnabled"))
        ),
        "aws:eks/cluster:Cluster": lambda p: bool(p.get("encryptionConfig")),
        "aws:ecr/repository:Repository": lambda p: bool(p.get("encryptionConfigurations")),
    }
    for planned in plan:
        holds = needed.get(planned.type)
        if holds and not holds(planned.properties):
            yield f"{planned}: is not encrypted."
        for disk in planned.properties.get("blockDeviceMappings") or []:
            if not _is_true((disk.get("ebs") or {}).get("encrypted")):
                yield f"{planned}: its disk {disk.get('deviceName')} is not encrypted."


def safe_buckets(plan: Plan) -> Iterator[str]:
    """A bucket comes with its encryption, its closed doors and TLS only."""
    companions = (
        "BucketServerSideEncryptionConfiguration",
        "BucketPublicAccessBlock",
        "BucketOwnershipControls",
        "BucketLifecycleConfiguration",
        "BucketPolicy",
    )
    there = {(planned.kind, planned.name) for planned in plan}
    for planned in plan:
        if planned.type == "aws:s3/bucket:Bucket":
            for companion in companions:
                if (companion, planned.name) not in there:
                    yield f"{planned}: lacks its {companion}."
        if planned.kind == "BucketPublicAccessBlock":
            doors = (
                key for key in planned.properties if key.startswith(("block", "ignore", "rest"))
            )
            if not all(_is_true(planned.properties[door]) for door in doors):
                yield f"{planned}: leaves a door open."
        if planned.kind == "BucketPolicy" and "aws:SecureTransport" not in str(planned.properties):
            yield f"{planned}: does not refuse what comes without TLS."


def tagged(plan: Plan) -> Iterator[str]:
    """Each resource is made by a provider that tags; machines and disks are tagged at launch."""
    for planned in plan:
        if planned.type.startswith("aws:") and "::default" in planned.provider:
            yield f"{planned}: is made without our provider, and so without tags."
        if planned.type == "pulumi:providers:aws" and "default" not in planned.name:
            defaults = as_data(planned.properties.get("defaultTags")) or {}
            yield from _missing(planned, as_data(defaults.get("tags")) or {})
        if planned.type == "aws:autoscaling/group:Group":
            carried = {
                tag["key"]: tag["value"]
                for tag in planned.properties.get("tags") or []
                if _is_true(tag.get("propagateAtLaunch"))
            }
            yield from _missing(planned, carried)
        if planned.kind == "LaunchTemplate":
            yield from _tagged_at_launch(planned)


def _tagged_at_launch(planned: Planned) -> Iterator[str]:
    found = {
        specification["resourceType"]: specification.get("tags") or {}
        for specification in planned.properties.get("tagSpecifications") or []
    }
    for resource in ("instance", "volume"):
        yield from _missing(planned, found.get(resource, {}), f" of each {resource}")


def _missing(planned: Planned, tags: Any, where: str = "") -> Iterator[str]:
    if not isinstance(tags, dict):
        return  # not known before the base stack is there
    lacking = sorted(TAGS - set(tags))
    if lacking:
        yield f"{planned}: lacks the tags{where} {', '.join(lacking)}."


def least_privilege(plan: Plan) -> Iterator[str]:
    """No right on everything, nobody without a name."""
    for planned in plan:
        yield from documents.complaints(planned)


def hardened_metadata(plan: Plan) -> Iterator[str]:
    """Job containers must not reach a machine's role."""
    for planned in plan:
        if planned.kind != "LaunchTemplate":
            continue
        options = planned.properties.get("metadataOptions") or {}
        hops = options.get("httpPutResponseHopLimit")
        if options.get("httpTokens") != "required" or hops != 1:
            yield f"{planned}: its metadata service must ask for tokens, one hop away."


def protected(plan: Plan) -> Iterator[str]:
    """What cannot be made again is not removed by a slip."""
    for planned in plan:
        if planned.type in DATA and not planned.is_protected:
            yield f"{planned}: holds data and is not protected."


def no_secret_in_user_data(plan: Plan) -> Iterator[str]:
    """Everybody on a machine can read its user data."""
    for planned in plan:
        if planned.kind == "LaunchTemplate" and planned.properties.get("userData") == HIDDEN:
            yield f"{planned}: its user data holds a secret."


def _is_world(properties: Any) -> bool:
    return properties.get("cidrIpv4") in WORLD or properties.get("cidrIpv6") in WORLD


def _is_true(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


RULES: tuple[Callable[[Plan], Iterator[str]], ...] = (
    no_public_address,
    only_tls_from_the_world,
    encrypted,
    safe_buckets,
    tagged,
    least_privilege,
    hardened_metadata,
    protected,
    no_secret_in_user_data,
)
