"""A region's network: EC2's own things, all in moto."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.engines.aws.provider.account import Account, or_none
from tests.engines.aws.provider.kinds import (
    Base,
    Change,
    Values,
    first,
    kind,
    ours,
    picked,
    tag_list,
    tag_map,
)


class Ec2(Base):
    """An EC2 thing with an id and tags: made by one call, described by id, deleted by one call."""

    word = ""  # InternetGateway: of CreateInternetGateway, and the answer's key
    ids = ""  # InternetGatewayIds
    id_key = ""  # InternetGatewayId
    takes: ClassVar[dict[str, str]] = {}  # ours to theirs
    gives: ClassVar[dict[str, str]] = {}  # theirs to ours
    arn_of = ""

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        tags = tag_list(inputs)
        specs = [{"ResourceType": self.arn_of, "Tags": tags}] if tags else []
        answer = self._call(aws, "create", TagSpecifications=specs, **picked(inputs, **self.takes))
        made = answer.get(self.word, answer)
        id_ = str(made[self.id_key])
        self.after(aws, id_, inputs)
        return id_, self.read(aws, id_, inputs) or {}

    def after(self, aws: Account, id_: str, inputs: Values) -> None:
        """Do what takes calls of its own."""

    def find(self, aws: Account, id_: str) -> Any:
        plural = f"{self.word}s"
        call = getattr(aws("ec2"), f"describe_{_snake(plural)}")
        return first(lambda: call(**{self.ids: [id_]}), plural)

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        found = self.find(aws, id_)
        if found is None or found.get("State") in ("deleted", "deleting"):
            return None
        seen = {mine: found[theirs] for theirs, mine in self.gives.items() if theirs in found}
        tags = tag_map(found.get("Tags"))
        arn = aws.arn("ec2", f"{self.arn_of}/{id_}")
        return {**seen, "arn": arn, "tags": tags or None, "tagsAll": tags}

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        if "tags" in change.keys:
            old, new = change.old.get("tags") or {}, change.new.get("tags") or {}
            gone = [{"Key": key} for key in sorted(set(old) - set(new))]
            if gone:
                aws("ec2").delete_tags(Resources=[id_], Tags=gone)
            if new:
                aws("ec2").create_tags(Resources=[id_], Tags=tag_list(change.new))
        self.after(aws, id_, {key: change.new[key] for key in change.keys if key in change.new})
        return {"tagsAll": change.new.get("tags") or {}}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        or_none(lambda: self._call(aws, "delete", **{self.id_key: id_}))

    def _call(self, aws: Account, verb: str, **given: Any) -> Any:
        return getattr(aws("ec2"), f"{verb}_{_snake(self.word)}")(**given)


def _snake(word: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in word)[1:]


@kind("aws:ec2/vpc:Vpc", "EC2 VPC")
class Vpc(Ec2):
    word, ids, id_key, arn_of = "Vpc", "VpcIds", "VpcId", "vpc"
    takes: ClassVar = {"cidrBlock": "CidrBlock", "instanceTenancy": "InstanceTenancy"}
    gives: ClassVar = {"CidrBlock": "cidrBlock"}
    replaces = frozenset({"cidrBlock"})

    def after(self, aws: Account, id_: str, inputs: Values) -> None:
        for ours_, theirs in (
            ("enableDnsSupport", "EnableDnsSupport"),
            ("enableDnsHostnames", "EnableDnsHostnames"),
        ):
            if ours_ in inputs:
                aws("ec2").modify_vpc_attribute(VpcId=id_, **{theirs: {"Value": inputs[ours_]}})

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        seen = super().read(aws, id_, state)
        return seen and {**seen, "mainRouteTableId": "", "defaultSecurityGroupId": ""}


@kind("aws:ec2/subnet:Subnet", "EC2 Subnet")
class Subnet(Ec2):
    word, ids, id_key, arn_of = "Subnet", "SubnetIds", "SubnetId", "subnet"
    takes: ClassVar = {
        "vpcId": "VpcId",
        "cidrBlock": "CidrBlock",
        "availabilityZone": "AvailabilityZone",
    }
    gives: ClassVar = {theirs: mine for mine, theirs in takes.items()}
    replaces = frozenset(takes)

    def after(self, aws: Account, id_: str, inputs: Values) -> None:
        if "mapPublicIpOnLaunch" in inputs:
            value = {"Value": bool(inputs["mapPublicIpOnLaunch"])}
            aws("ec2").modify_subnet_attribute(SubnetId=id_, MapPublicIpOnLaunch=value)


@kind("aws:ec2/internetGateway:InternetGateway", "EC2 Internet Gateway")
class InternetGateway(Ec2):
    word, ids, id_key = "InternetGateway", "InternetGatewayIds", "InternetGatewayId"
    arn_of = "internet-gateway"

    def after(self, aws: Account, id_: str, inputs: Values) -> None:
        if "vpcId" in inputs:
            aws("ec2").attach_internet_gateway(InternetGatewayId=id_, VpcId=inputs["vpcId"])

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        vpc = state.get("vpcId")
        or_none(lambda: aws("ec2").detach_internet_gateway(InternetGatewayId=id_, VpcId=vpc))
        super().delete(aws, id_, state)


@kind("aws:ec2/natGateway:NatGateway", "EC2 NAT Gateway")
class NatGateway(Ec2):
    word, ids, id_key, arn_of = "NatGateway", "NatGatewayIds", "NatGatewayId", "natgateway"
    takes: ClassVar = {"allocationId": "AllocationId", "subnetId": "SubnetId"}
    gives: ClassVar = {"SubnetId": "subnetId"}
    replaces = frozenset(takes)


@kind("aws:ec2/eip:Eip", "EC2 EIP")
class Eip(Base):
    replaces = frozenset({"domain"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        made = aws("ec2").allocate_address(**picked(inputs, domain="Domain"))
        id_ = made["AllocationId"]
        if inputs.get("tags"):
            aws("ec2").create_tags(Resources=[id_], Tags=tag_list(inputs))
        return id_, self.read(aws, id_, inputs) or {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        found = first(lambda: aws("ec2").describe_addresses(AllocationIds=[id_]), "Addresses")
        if found is None:
            return None
        tags = tag_map(found.get("Tags"))
        return {"allocationId": id_, "publicIp": found["PublicIp"], "tagsAll": tags}

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        aws("ec2").create_tags(Resources=[id_], Tags=tag_list(change.new))
        return {"tagsAll": change.new.get("tags") or {}}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        or_none(lambda: aws("ec2").release_address(AllocationId=id_))


@kind("aws:ec2/routeTable:RouteTable", "EC2 Route Table")
class RouteTable(Ec2):
    word, ids, id_key, arn_of = "RouteTable", "RouteTableIds", "RouteTableId", "route-table"
    takes: ClassVar = {"vpcId": "VpcId"}
    gives: ClassVar = {"VpcId": "vpcId"}
    replaces = frozenset(takes)


_ROUTE = {
    "routeTableId": "RouteTableId",
    "destinationCidrBlock": "DestinationCidrBlock",
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
}


@kind("aws:ec2/route:Route", "EC2 Route")
class Route(Base):
    replaces = frozenset({"routeTableId", "destinationCidrBlock"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        aws("ec2").create_route(**picked(inputs, **_ROUTE))
        return f"r-{inputs['routeTableId']}-{inputs['destinationCidrBlock']}", {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        table = first(
            lambda: aws("ec2").describe_route_tables(RouteTableIds=[state["routeTableId"]]),
            "RouteTables",
        )
        for route in (table or {}).get("Routes", []):
            if route.get("DestinationCidrBlock") == state["destinationCidrBlock"]:
                return {}
        return None

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        aws("ec2").replace_route(**picked(change.new, **_ROUTE))
        return {}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        names = ("routeTableId", "destinationCidrBlock")
        which = picked(state, **{name: _ROUTE[name] for name in names})
        or_none(lambda: aws("ec2").delete_route(**which))


@kind("aws:ec2/routeTableAssociation:RouteTableAssociation", "EC2 Route Table Association")
class RouteTableAssociation(Base):
    replaces = frozenset({"routeTableId", "subnetId"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        given = picked(inputs, routeTableId="RouteTableId", subnetId="SubnetId")
        return aws("ec2").associate_route_table(**given)["AssociationId"], {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        table = first(
            lambda: aws("ec2").describe_route_tables(RouteTableIds=[state["routeTableId"]]),
            "RouteTables",
        )
        known = [one["RouteTableAssociationId"] for one in (table or {}).get("Associations", [])]
        return {} if id_ in known else None

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        or_none(lambda: aws("ec2").disassociate_route_table(AssociationId=id_))


@kind("aws:ec2/securityGroup:SecurityGroup", "EC2 Security Group")
class SecurityGroup(Ec2):
    word, ids, id_key, arn_of = "SecurityGroup", "GroupIds", "GroupId", "security-group"
    takes: ClassVar = {"name": "GroupName", "description": "Description", "vpcId": "VpcId"}
    gives: ClassVar = {"GroupName": "name", "Description": "description", "VpcId": "vpcId"}
    named_by = "name"
    replaces = frozenset(takes)

    def after(self, aws: Account, id_: str, inputs: Values) -> None:
        # The real provider takes away the rule that AWS puts into every new group.
        if "vpcId" in inputs:
            every = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
            aws("ec2").revoke_security_group_egress(GroupId=id_, IpPermissions=every)


class Rule(Base):
    """One rule of a security group."""

    direction = ""
    replaces = frozenset({"securityGroupId"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        call = getattr(aws("ec2"), f"authorize_security_group_{self.direction}")
        made = call(GroupId=inputs["securityGroupId"], IpPermissions=[_permission(inputs)])
        id_ = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        tags = inputs.get("tags") or {}
        return id_, {
            "securityGroupRuleId": id_,
            "arn": aws.arn("ec2", f"security-group-rule/{id_}"),
            "tagsAll": tags,
        }

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        found = first(
            lambda: aws("ec2").describe_security_group_rules(SecurityGroupRuleIds=[id_]),
            "SecurityGroupRules",
        )
        return None if found is None else {}

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        if change.keys - {"tags"}:
            self.delete(aws, id_, change.old)
            call = getattr(aws("ec2"), f"authorize_security_group_{self.direction}")
            call(GroupId=change.new["securityGroupId"], IpPermissions=[_permission(change.new)])
        return {"tagsAll": change.new.get("tags") or {}}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        call = getattr(aws("ec2"), f"revoke_security_group_{self.direction}")
        group = state["securityGroupId"]
        or_none(lambda: call(GroupId=group, IpPermissions=[_permission(state)]))


def _permission(inputs: Values) -> Values:
    made = picked(inputs, ipProtocol="IpProtocol", fromPort="FromPort", toPort="ToPort")
    said = picked(inputs, description="Description")
    if "cidrIpv4" in inputs:
        made["IpRanges"] = [{"CidrIp": inputs["cidrIpv4"], **said}]
    if "cidrIpv6" in inputs:
        made["Ipv6Ranges"] = [{"CidrIpv6": inputs["cidrIpv6"], **said}]
    if "referencedSecurityGroupId" in inputs:
        made["UserIdGroupPairs"] = [{"GroupId": inputs["referencedSecurityGroupId"], **said}]
    return made


@kind("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "VPC Security Group Rule")
class IngressRule(Rule):
    direction = "ingress"


@kind("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "VPC Security Group Rule")
class EgressRule(Rule):
    direction = "egress"


@kind("aws:ec2/vpcEndpoint:VpcEndpoint", "EC2 VPC Endpoint")
class VpcEndpoint(Ec2):
    word, ids, id_key, arn_of = "VpcEndpoint", "VpcEndpointIds", "VpcEndpointId", "vpc-endpoint"
    takes: ClassVar = {
        "vpcId": "VpcId",
        "serviceName": "ServiceName",
        "vpcEndpointType": "VpcEndpointType",
        "routeTableIds": "RouteTableIds",
        "subnetIds": "SubnetIds",
        "securityGroupIds": "SecurityGroupIds",
        "privateDnsEnabled": "PrivateDnsEnabled",
        "policy": "PolicyDocument",
    }
    gives: ClassVar = {"VpcId": "vpcId", "ServiceName": "serviceName"}
    replaces = frozenset({"vpcId", "serviceName", "vpcEndpointType"})

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        or_none(lambda: aws("ec2").delete_vpc_endpoints(VpcEndpointIds=[id_]))


ours(
    "aws:ec2/flowLog:FlowLog",
    "EC2 Flow Log",
    id_of=lambda inputs: f"fl-{inputs.get('vpcId', '')[4:]}",
    replaces="vpcId logDestination logDestinationType trafficType iamRoleArn",
    extra=lambda aws, id_, inputs: {"arn": aws.arn("ec2", f"vpc-flow-log/{id_}")},
)
