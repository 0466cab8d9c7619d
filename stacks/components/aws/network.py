"""The network of a region: public subnets for what the world reaches, private ones for the rest."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2

from stacks.components.aws.documents.common import Place
from stacks.components.aws.doors import WORLD, Door, let_in, let_out, security_group
from stacks.components.aws.parts import Component

INTERFACE_SERVICES = ("ecr.api", "ecr.dkr", "logs", "sts")


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """What a person may choose."""

    cidr: str
    zones: Sequence[str]
    nat_per_zone: bool
    interface_endpoints: bool


@dataclass(frozen=True, slots=True)
class Blocks:
    """The address blocks of the subnets, zone by zone."""

    public: tuple[str, ...]
    private: tuple[str, ...]


def blocks(cidr: str, zones: int) -> Blocks:
    """Cut a network: a sixteenth for each zone's private part, a small part of one for public.

    Room is kept for six zones, so that adding one moves nothing.
    """
    parts = list(ipaddress.ip_network(cidr).subnets(prefixlen_diff=4))
    small = list(parts[0].subnets(prefixlen_diff=4))
    return Blocks(
        public=tuple(str(block) for block in small[:zones]),
        private=tuple(str(block) for block in parts[1 : 1 + zones]),
    )


class Network(Component):
    """The VPC, its subnets, its ways out, and the workers' security group."""

    def __init__(
        self, place: Place, settings: NetworkSettings, opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("Network", place, opts)
        self.vpc = ec2.Vpc(
            "vpc",
            cidr_block=settings.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            opts=self.child(),
        )
        cut = blocks(settings.cidr, len(settings.zones))
        self.public = self._subnets("public", settings.zones, cut.public)
        self.private = self._subnets("private", settings.zones, cut.private)
        public_table = self._way_in()
        private_tables = self._ways_out(settings)
        self._endpoints(settings, [public_table, *private_tables])
        self.workers = self._workers()
        self.register_outputs({})

    def _subnets(self, kind: str, zones: Sequence[str], cidrs: Sequence[str]) -> list[ec2.Subnet]:
        # The tag that Kubernetes looks for when it makes load balancers of its own.
        role = "elb" if kind == "public" else "internal-elb"
        return [
            ec2.Subnet(
                f"{kind}-{zone}",
                vpc_id=self.vpc.id,
                availability_zone=f"{self.place.region}{zone}",
                cidr_block=cidr,
                map_public_ip_on_launch=False,
                tags={"Name": f"{kind}-{zone}", f"kubernetes.io/role/{role}": "1"},
                opts=self.child(),
            )
            for zone, cidr in zip(zones, cidrs, strict=True)
        ]

    def _way_in(self) -> ec2.RouteTable:
        gateway = ec2.InternetGateway("internet", vpc_id=self.vpc.id, opts=self.child())
        table = ec2.RouteTable("public", vpc_id=self.vpc.id, opts=self.child())
        ec2.Route(
            "public",
            route_table_id=table.id,
            destination_cidr_block=WORLD,
            gateway_id=gateway.id,
            opts=self.child(),
        )
        self._associate(table, self.public, "public")
        self.gateway = gateway
        return table

    def _ways_out(self, settings: NetworkSettings) -> list[ec2.RouteTable]:
        tables: list[ec2.RouteTable] = []
        nats: list[ec2.NatGateway] = []
        for zone, public, private in zip(settings.zones, self.public, self.private, strict=True):
            if settings.nat_per_zone or not nats:
                nats.append(self._nat(zone, public))
            table = ec2.RouteTable(f"private-{zone}", vpc_id=self.vpc.id, opts=self.child())
            ec2.Route(
                f"private-{zone}",
                route_table_id=table.id,
                destination_cidr_block=WORLD,
                nat_gateway_id=nats[-1].id,
                opts=self.child(),
            )
            self._associate(table, [private], f"private-{zone}")
            tables.append(table)
        return tables

    def _nat(self, zone: str, subnet: ec2.Subnet) -> ec2.NatGateway:
        address = ec2.Eip(f"nat-{zone}", domain="vpc", opts=self.child())
        return ec2.NatGateway(
            f"nat-{zone}",
            allocation_id=address.allocation_id,
            subnet_id=subnet.id,
            opts=self.child(depends_on=[self.gateway]),
        )

    def _associate(self, table: ec2.RouteTable, subnets: Sequence[ec2.Subnet], name: str) -> None:
        for number, subnet in enumerate(subnets):
            ec2.RouteTableAssociation(
                name if len(subnets) == 1 else f"{name}-{number}",
                route_table_id=table.id,
                subnet_id=subnet.id,
                opts=self.child(),
            )

    def _endpoints(self, settings: NetworkSettings, tables: Sequence[ec2.RouteTable]) -> None:
        ec2.VpcEndpoint(
            "s3",
            vpc_id=self.vpc.id,
            service_name=f"com.amazonaws.{self.place.region}.s3",
            vpc_endpoint_type="Gateway",  # free, and data does not pay for the NAT gateway
            route_table_ids=[table.id for table in tables],
            opts=self.child(),
        )
        if not settings.interface_endpoints:
            return
        group = security_group(
            "endpoints", "Private endpoints of AWS services", self.vpc.id, self.child()
        )
        inside = Door("endpoints", "TLS from inside the network", 443, cidr=settings.cidr)
        let_in(group, [inside], self.child())
        for service in INTERFACE_SERVICES:
            ec2.VpcEndpoint(
                service,
                vpc_id=self.vpc.id,
                service_name=f"com.amazonaws.{self.place.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in self.private],
                security_group_ids=[group.id],
                opts=self.child(),
            )

    def _workers(self) -> ec2.SecurityGroup:
        group = security_group(
            "workers", "Talkoot workers: nobody calls them", self.vpc.id, self.child()
        )
        out = Door("workers-tls", "The control service, stores and registries", 443)
        let_out(group, [out], self.child())
        return group
