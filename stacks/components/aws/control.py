"""How a control stack's config becomes its components on AWS."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, iam

from stacks.components.aws import cache, database
from stacks.components.aws.documents import roles
from stacks.components.aws.documents.common import Place
from stacks.components.aws.doors import Door, let_in, let_out, security_group
from stacks.components.aws.load_balancer import STREAMS_PORT, WEB_PORT
from stacks.components.aws.parts import Component
from stacks.outputs import Reference
from stacks.userdata import control_host

STORES = {
    "store_url": "artifacts",
    "code_store_url": "code",
    "log_store_url": "logs",
    "release_store_url": "releases",
}


class Doors(Component):
    """Who may talk to whom: world, load balancer, hosts, database and queue, each to the next."""

    def __init__(
        self, place: Place, vpc_id: pulumi.Input[str], opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("Doors", place, opts)

        def group(name: str, words: str) -> ec2.SecurityGroup:
            return security_group(name, words, vpc_id, self.child())

        self.front = group("front", "Talkoot's load balancer")
        self.hosts = group("hosts", "Talkoot's control hosts")
        self.database = group("database", "Talkoot's database")
        self.queue = group("queue", "Talkoot's queue")
        ports = (WEB_PORT, STREAMS_PORT)
        self._open(
            self.front,
            come=[Door("front-tls", "People and agents", 443)],
            go=[Door("front-hosts", "Web and streams", *ports, group=self.hosts)],
        )
        self._open(
            self.hosts,
            come=[Door("hosts-front", "From the load balancer", *ports, group=self.front)],
            go=[
                Door("hosts-tls", "AWS, registries, Git by HTTPS", 443),
                Door("hosts-git", "Git by SSH", 22),
                Door("hosts-database", "The database", database.PORT, group=self.database),
                Door("hosts-queue", "The queue", cache.PORT, group=self.queue),
            ],
        )
        for name, server, port in (
            ("database", self.database, database.PORT),
            ("queue", self.queue, cache.PORT),
        ):
            self._open(server, come=[Door(name, "From the hosts", port, group=self.hosts)], go=[])
        self.register_outputs({})

    def _open(self, group: ec2.SecurityGroup, *, come: list[Door], go: list[Door]) -> None:
        let_in(group, come, self.child())
        let_out(group, go, self.child())


@dataclass(frozen=True, slots=True)
class Servers:
    """The two servers that hosts must find."""

    database: database.Database
    queue: cache.QueueCache


def secrets_policy(
    place: Place, control_role: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> None:
    """Let the control role, made by the base stack, read this stack's two passwords."""
    iam.RolePolicy(
        "control-secrets",
        name="control-secrets",
        role=control_role,
        policy=roles.control_secrets(
            place,
            queue_secret=cache.queue_secret_name(place),
            database=database.database_name(place),
        ),
        opts=opts,
    )


def user_data(
    place: Place, base: Reference, servers: Servers, control_url: str
) -> pulumi.Output[str]:
    """Tell a host where everything is."""
    values: dict[str, pulumi.Input[str]] = {
        "region": place.region,
        "control_url": control_url,
        "database_endpoint": servers.database.instance.endpoint,
        "database_secret_arn": servers.database.secret_arn,
        "queue_secret_arn": servers.queue.secret.arn,
        "pulumi_role_arn": base.require("pulumi_role_arn"),
    }
    for variable, part in STORES.items():
        values[variable] = pulumi.Output.format(
            "s3://{0}?region={1}", base.require(f"{part}_bucket"), place.region
        )
    return pulumi.Output.all(**values).apply(
        lambda known: control_host.render(control_host.ControlHost(**known))
    )
