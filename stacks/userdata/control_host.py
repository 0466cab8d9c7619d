"""What a control host is told at its first start: where its servers are, and no secret.

The database's and the queue's passwords are in the cloud's secret store; the host's role may read
them by the names given here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from shlex import quote

PATH = "/etc/talkoot/control.env"
AWS_PATH = "/etc/talkoot/aws-infra.conf"
"""How `talkoot infra` takes its role on: AWS_CONFIG_FILE names this, AWS_PROFILE is infra."""


@dataclass(frozen=True, slots=True)
class ControlHost:
    """The surroundings of a control host; each field is a variable of its file, in capitals."""

    region: str
    control_url: str
    database_endpoint: str
    database_secret_arn: str
    queue_secret_arn: str
    store_url: str
    code_store_url: str
    log_store_url: str
    release_store_url: str
    pulumi_role_arn: str


def render(host: ControlHost) -> str:
    """Write the cloud-config."""
    lines = "".join(
        f"    {item.name.upper()}={quote(getattr(host, item.name))}\n" for item in fields(host)
    )
    profile = (
        f"    [profile infra]\n    role_arn = {host.pulumi_role_arn}\n"
        f"    credential_source = Ec2InstanceMetadata\n    region = {host.region}\n"
    )
    return f"#cloud-config\nwrite_files:\n{_file(PATH, lines)}{_file(AWS_PATH, profile)}"


def _file(path: str, content: str) -> str:
    return f"- path: {path}\n  owner: root:root\n  permissions: '0644'\n  content: |\n{content}"
