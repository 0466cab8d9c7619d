"""Databases, queues, load balancers, clusters and secrets, in our own model.

moto has some of these, without what the stacks ask for (access entries, parameter groups, add-ons:
infrastructure.md 5.5). Here they have memory and answer with the addresses that the cloud would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from tests.engines.aws.provider.account import Account
from tests.engines.aws.provider.kinds import Values, ours

Extra = Callable[[Account, str, Values], Values]


def _key(*names: str) -> Callable[[Values], str]:
    return lambda inputs: ":".join(str(inputs[name]) for name in names)


def _arn(service: str, before: str) -> Extra:
    return lambda aws, id_, inputs: {"arn": aws.arn(service, f"{before}{id_}")}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# -- load balancer --------------------------------------------------------------------------------
def _balancer(aws: Account, id_: str, inputs: Values) -> Values:
    name = inputs["name"]
    suffix = f"app/{name}/{_hash(name)}"
    return {
        "arn": id_,
        "arnSuffix": suffix,
        "dnsName": f"internal-{name}.{aws.region}.elb.amazonaws.com",
        "zoneId": "Z32O12XQLNTSW2",
    }


def _elb(what: str) -> Callable[[Values], str]:
    def id_of(inputs: Values) -> str:
        whose = inputs.get("name") or _hash(repr(sorted(inputs.items(), key=lambda kv: kv[0])))
        return f"arn:aws:elasticloadbalancing:region:123456789012:{what}/{whose}"

    return id_of


ours(
    "aws:lb/loadBalancer:LoadBalancer",
    "ELBv2 Load Balancer",
    id_of=_elb("loadbalancer/app"),
    replaces="name internal loadBalancerType",
    extra=_balancer,
    named_by="name",
)
ours(
    "aws:lb/targetGroup:TargetGroup",
    "ELBv2 Target Group",
    id_of=_elb("targetgroup"),
    replaces="name port protocol vpcId targetType",
    extra=lambda aws, id_, inputs: {"arn": id_, "arnSuffix": id_.rpartition(":")[2]},
    named_by="name",
)
ours(
    "aws:lb/listener:Listener",
    "ELBv2 Listener",
    id_of=_elb("listener"),
    replaces="loadBalancerArn",
    extra=lambda aws, id_, inputs: {"arn": id_},
)
ours(
    "aws:lb/listenerRule:ListenerRule",
    "ELBv2 Listener Rule",
    id_of=_elb("listener-rule"),
    replaces="listenerArn",
    extra=lambda aws, id_, inputs: {"arn": id_},
)


# -- database -------------------------------------------------------------------------------------
def _database(aws: Account, id_: str, inputs: Values) -> Values:
    address = f"{id_}.{_hash(id_)[:12]}.{aws.region}.rds.amazonaws.com"
    port = inputs.get("port", 5432)
    secret = aws.arn("secretsmanager", f"secret:rds!db-{_hash(id_)}")
    return {
        "arn": aws.arn("rds", f"db:{id_}"),
        "address": address,
        "port": port,
        "endpoint": f"{address}:{port}",
        "status": "available",
        "masterUserSecrets": [
            {
                "secretArn": secret,
                "secretStatus": "active",
                "kmsKeyId": inputs.get("masterUserSecretKmsKeyId", ""),
            }
        ],
    }


ours(
    "aws:rds/instance:Instance",
    "RDS DB Instance",
    id_of=_key("identifier"),
    replaces="identifier engine dbName username kmsKeyId storageEncrypted dbSubnetGroupName",
    extra=_database,
    named_by="identifier",
)
for token, title in (
    ("aws:rds/subnetGroup:SubnetGroup", "RDS Subnet Group"),
    ("aws:rds/parameterGroup:ParameterGroup", "RDS Parameter Group"),
):
    ours(
        token,
        title,
        id_of=_key("name"),
        replaces="name family",
        extra=_arn("rds", "group:"),
        named_by="name",
    )


# -- queue ----------------------------------------------------------------------------------------
def _cache(aws: Account, id_: str, inputs: Values) -> Values:
    start = f"{id_}.{_hash(id_)[:6]}.{aws.region}.cache.amazonaws.com"
    return {
        "arn": aws.arn("elasticache", f"replicationgroup:{id_}"),
        "primaryEndpointAddress": f"master.{start}",
        "readerEndpointAddress": f"replica.{start}",
    }


ours(
    "aws:elasticache/replicationGroup:ReplicationGroup",
    "ElastiCache Replication Group",
    id_of=_key("replicationGroupId"),
    replaces="replicationGroupId engine subnetGroupName atRestEncryptionEnabled kmsKeyId port",
    extra=_cache,
)
for token, title in (
    ("aws:elasticache/subnetGroup:SubnetGroup", "ElastiCache Subnet Group"),
    ("aws:elasticache/parameterGroup:ParameterGroup", "ElastiCache Parameter Group"),
):
    ours(
        token,
        title,
        id_of=_key("name"),
        replaces="name family",
        extra=_arn("elasticache", "group:"),
        named_by="name",
    )

# -- secrets --------------------------------------------------------------------------------------
ours(
    "aws:secretsmanager/secret:Secret",
    "Secrets Manager Secret",
    id_of=lambda inputs: f"arn:aws:secretsmanager:region:123456789012:secret:{inputs['name']}",
    replaces="name",
    extra=lambda aws, id_, inputs: {"arn": id_},
    named_by="name",
)
ours(
    "aws:secretsmanager/secretVersion:SecretVersion",
    "Secrets Manager Secret Version",
    id_of=lambda inputs: f"{inputs['secretId']}|{_hash(str(inputs.get('secretString')))}",
    replaces="secretId secretString",
    extra=lambda aws, id_, inputs: {"arn": inputs["secretId"], "versionId": id_},
)


# -- cluster --------------------------------------------------------------------------------------
def _cluster(aws: Account, id_: str, inputs: Values) -> Values:
    return {
        "arn": aws.arn("eks", f"cluster/{id_}"),
        "endpoint": f"https://{_hash(id_).upper()}.gr7.{aws.region}.eks.amazonaws.com",
        "certificateAuthority": {"data": "Y2VydGlmaWNhdGU="},
        "status": "ACTIVE",
    }


ours(
    "aws:eks/cluster:Cluster",
    "EKS Cluster",
    id_of=_key("name"),
    replaces="name roleArn encryptionConfig",
    extra=_cluster,
    named_by="name",
)
ours(
    "aws:eks/nodeGroup:NodeGroup",
    "EKS Node Group",
    id_of=_key("clusterName", "nodeGroupName"),
    replaces="clusterName nodeGroupName nodeRoleArn subnetIds instanceTypes",
    extra=_arn("eks", "nodegroup/"),
    named_by="nodeGroupName",
)
ours(
    "aws:eks/addon:Addon",
    "EKS Add-On",
    id_of=_key("clusterName", "addonName"),
    replaces="clusterName addonName",
    extra=_arn("eks", "addon/"),
)
ours(
    "aws:eks/accessEntry:AccessEntry",
    "EKS Access Entry",
    id_of=_key("clusterName", "principalArn"),
    replaces="clusterName principalArn type",
    extra=lambda aws, id_, inputs: {"accessEntryArn": aws.arn("eks", f"access-entry/{id_}")},
)
ours(
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
    "EKS Access Policy Association",
    id_of=_key("clusterName", "principalArn", "policyArn"),
    replaces="clusterName principalArn policyArn accessScope",
)
ours(
    "aws:eks/podIdentityAssociation:PodIdentityAssociation",
    "EKS Pod Identity Association",
    id_of=_key("clusterName", "namespace", "serviceAccount"),
    replaces="clusterName namespace serviceAccount",
    extra=lambda aws, id_, inputs: {
        "associationId": f"a-{_hash(id_)}",
        "associationArn": aws.arn("eks", f"podidentityassociation/{id_}"),
    },
)
