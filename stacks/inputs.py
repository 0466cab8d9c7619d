"""What goes into a stack and comes out of it: the one module here that `control` may import.

Standard library only. Git's `Pulumi.<stack>.yaml` holds every key but SIZE; SIZE exists only in
the private work directory of `talkoot infra` (infrastructure.md 1.5 rule 1). Stack names are
`<env>-<cloud>-<region>-base|control|inference|wg-<group>` (architecture.md part 4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

PROJECT = "talkoot"
"""The name in Pulumi.yaml, and so the namespace of the keys: `talkoot:kind`."""

SECRETS = ("queue_password",)
"""Fields whose value is encrypted in Git and never told."""

SIZE = "size"
"""How many machines the service wants; never in Git."""

KINDS = ("base", "control", "inference", "group")
CLOUDS = ("aws", "azure", "gcp", "openstack")

TAG_INSTALLATION = "talkoot:installation"
TAG_ENVIRONMENT = "talkoot:environment"
TAG_GROUP = "talkoot:group"
TAG_STACK = "talkoot:stack"
TAG_OWNER = "talkoot:owner"
TAG_MANAGED_BY = "talkoot:managed-by"
"""On every resource that can be tagged (SC-13). Keys are case-sensitive on AWS."""

_STACK_NAME = re.compile(
    r"(?P<env>[a-z0-9]+)-(?P<cloud>aws|azure|gcp|openstack)-(?P<region>[a-z0-9-]+?)"
    r"-(?:(?P<kind>base|control|inference)|wg-(?P<group>[a-z0-9][a-z0-9-]*))"
)


def reclaim_queue_name(installation: str) -> str:
    """Name the queue of spot reclaim notices: the base stack makes one in each of its regions."""
    return f"talkoot-{installation}-reclaims"


@dataclass(frozen=True, slots=True)
class StackName:
    """The parts of a stack's name; `group` is empty but for a worker group's."""

    env: str
    cloud: str
    region: str
    kind: str
    group: str = ""

    def __str__(self) -> str:
        last = f"wg-{self.group}" if self.kind == "group" else self.kind
        return f"{self.env}-{self.cloud}-{self.region}-{last}"


def parse_stack_name(text: str) -> StackName:
    """Take a stack's name apart. Raises ValueError with the pattern it must have."""
    found = _STACK_NAME.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is not a stack's name: <env>-<cloud>-<region>-base, -control, -inference "
            "or -wg-<group>, in small letters and digits; no - in <env>."
        )
    group = found["group"] or ""
    kind = found["kind"] or "group"
    return StackName(found["env"], found["cloud"], found["region"], kind, group)


@dataclass(frozen=True, slots=True)
class GroupInputs:
    """Config of a `group` stack, key by key, the same on every cloud; `size` is not among them.

    `market` is spot or on-demand; falling back from one to the other is a second group of the
    same environment with a later rank, so that every stack is one offering.
    """

    group: str
    base_stack: str  # read by StackReference; never computed from this stack's name
    instance_type: str
    image: str  # id of the machine image, pinned
    market: str = "on-demand"
    min: int = 0
    max: int = 5
    slots: int = 1  # executions at a time on one machine
    disk_gb: int = 100
    max_price_usd: float | None = None  # an hour, spot only; None: up to the on-demand price
    channel: str = "stable"  # of the agent's release
    agent_version: str = ""  # pins one release; "": the channel's newest
    control_url: str = ""  # where agents join
    ca_fingerprint: str = ""  # SHA-256 of the control service's CA, hex; "": public CAs
    release_public_key: str = ""  # as `talkoot release key` prints it; what signs agents' releases
    disk_device: str = "/dev/xvda"  # AWS: the image's root device; /dev/sda1 on Ubuntu
    owner: str = ""


@dataclass(frozen=True, slots=True)
class GroupOutputs:
    """What a `group` stack exports, on every cloud."""

    cloud: str
    region: str
    group: str
    resource: str  # ASG, MIG or scale set name; "" on OpenStack
    instance_type: str
    market: str
    slots: int
    min: int
    max: int
    size: int | None = None  # as last recorded; a person's `up` leaves it as it is
    price_per_hour_usd: float | None = None
    warning: str = ""  # what a person should know, such as a maximum below what is live


def to_config(inputs: Any) -> dict[str, str]:
    """Write a dataclass of inputs as stack config, key to text; None and "" are left out."""
    written: dict[str, str] = {}
    for item in fields(inputs):
        value = getattr(inputs, item.name)
        if value is None or value in ("", ()):
            continue
        written[key_of(item.name)] = _to_text(value)
    return written


def _to_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def key_of(name: str) -> str:
    """Give the config key of a field: `base_stack` is `baseStack`."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def group_outputs(values: Mapping[str, Any]) -> GroupOutputs:
    """Read a group stack's outputs. Raises ValueError naming what is missing."""
    given: dict[str, Any] = {}
    for item in fields(GroupOutputs):
        key = key_of(item.name)
        if key in values:
            value = values[key]
            is_whole = isinstance(value, float) and value.is_integer()
            given[item.name] = (
                int(value) if is_whole and item.name != "price_per_hour_usd" else value
            )
    try:
        return GroupOutputs(**given)
    except TypeError as error:
        raise ValueError(f"The stack's outputs are not a worker group's: {error}.") from error


@dataclass(frozen=True, slots=True)
class BaseInputs:
    """Config of a `base` stack: what one region of one account needs once."""

    installation: str  # this Talkoot's name; on every resource, and in the buckets' names
    account: str  # where it may be made, and nowhere else; AWS: 12 digits
    zones: tuple[str, ...] = ("a", "b")  # letters of the region's zones
    cidr: str = "10.64.0.0/16"
    nat_per_zone: bool = False  # one gateway a zone outlives the loss of a zone, and costs so
    interface_endpoints: bool = False  # private ways to the registry, logs and STS; cost by zone
    pull_through_cache: bool = False  # mirrors public.ecr.aws in our registry
    worker_logs: bool = False  # lets machines write their system logs to a log group
    repositories: tuple[str, ...] = ("executions", "inference")
    flow_log_days: int = 30
    code_days: int = 180
    log_days: int = 365
    web_origin: str = ""  # whose pages may read and write buckets in the browser
    control_principals: tuple[str, ...] = ()  # ARNs beside control hosts: a control plane elsewhere
    state_bucket: str = ""  # of Pulumi's state, when it is one in S3
    image_parameter: str = "/aws/service/debian/release/12/latest/amd64"  # "": looked up by you
    deletable: bool = False  # true: protection is off, because you are leaving
    owner: str = ""


@dataclass(frozen=True, slots=True)
class BaseOutputs:
    """What a `base` stack exports: ids and names, nothing secret."""

    cloud: str
    region: str
    installation: str
    account: str
    network_id: str
    network_cidr: str
    public_subnet_ids: tuple[str, ...]
    worker_subnet_ids: tuple[str, ...]
    worker_security_group_id: str
    worker_role_arn: str
    worker_instance_profile: str
    control_role: str  # name; who the control service is in this cloud
    control_role_arn: str
    control_instance_profile: str
    pulumi_role_arn: str  # what `talkoot infra` takes on to resize groups
    disk_key_arn: str
    data_key_arn: str
    artifacts_bucket: str
    code_bucket: str
    logs_bucket: str
    releases_bucket: str
    repository_urls: tuple[str, ...]
    reclaim_queue_url: str
    image: str = ""  # newest at the last `up`, to be pinned in a group's config


@dataclass(frozen=True, slots=True)
class ControlInputs:
    """Config of a `control` stack: the control service's own machines and their servers."""

    base_stack: str
    account: str
    host: str  # the name people and agents use, such as talkoot.example.org
    certificate_arn: str  # for that name, in this region
    image: str  # of the control hosts, pinned
    queue_password: str = field(repr=False)  # secret: pulumi config set --secret queuePassword
    instance_type: str = "m7i.large"
    hosts: int = 2
    disk_gb: int = 64
    disk_device: str = "/dev/xvda"
    database_class: str = "db.m7g.large"
    database_gb: int = 50
    database_version: str = "16"
    multi_zone: bool = True
    backup_days: int = 14
    queue_class: str = "cache.t4g.small"
    queue_version: str = "8.0"
    access_log_days: int = 90
    deletable: bool = False
    owner: str = ""


@dataclass(frozen=True, slots=True)
class ControlOutputs:
    """What a `control` stack exports; the secrets' ARNs, never their values."""

    cloud: str
    region: str
    url: str
    load_balancer_dns: str
    hosts_resource: str
    database_endpoint: str
    database_secret_arn: str
    queue_endpoint: str
    queue_secret_arn: str


@dataclass(frozen=True, slots=True)
class InferenceInputs:
    """Config of an `inference` stack: a managed Kubernetes cluster for deployments."""

    base_stack: str
    account: str
    version: str = "1.33"
    instance_type: str = "m7i.large"
    disk_gb: int = 100
    min: int = 1
    max: int = 4
    namespace: str = "talkoot-models"
    administrator_arns: tuple[str, ...] = ()  # who may administer the cluster, beside nobody
    public_api: bool = False  # the cluster's own API beside its private address
    public_api_cidrs: tuple[str, ...] = ()
    log_days: int = 30
    deletable: bool = False
    owner: str = ""


@dataclass(frozen=True, slots=True)
class InferenceOutputs:
    """What an `inference` stack exports."""

    cloud: str
    region: str
    cluster: str
    endpoint: str
    certificate_authority: str
    namespace: str
    model_role_arn: str
