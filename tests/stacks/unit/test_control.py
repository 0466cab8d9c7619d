"""The control stack's program under mocks: one door to the world, secrets told to nobody."""

from __future__ import annotations

import base64
import fnmatch
import re
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from stacks.components.aws.load_balancer import STREAM_PATHS
from tests.stacks.unit import recorder

STACK = "prod-aws-eu-west-1-control"
BASE = "prod-aws-eu-west-1-base"
PASSWORD = "correct-horse-battery-staple-0123456789"
CONFIG: dict[str, Any] = {
    "baseStack": BASE,
    "account": "123456789012",
    "host": "talkoot.example.org",
    "certificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/one",
    "image": "ami-0123456789abcdef0",
    "queuePassword": PASSWORD,
}
BASE_OUTPUTS: dict[str, Any] = {
    "installation": "acme",
    "networkId": "vpc-1",
    "publicSubnetIds": ["subnet-pa", "subnet-pb"],
    "workerSubnetIds": ["subnet-a", "subnet-b"],
    "controlRole": "talkoot-prod-eu-west-1-control",
    "controlInstanceProfile": "talkoot-prod-eu-west-1-control",
    "pulumiRoleArn": "arn:aws:iam::123456789012:role/talkoot-prod-eu-west-1-pulumi",
    "diskKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/disk",
    "dataKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/data",
    "artifactsBucket": "acme-artifacts",
    "codeBucket": "acme-code",
    "logsBucket": "acme-logs",
    "releasesBucket": "acme-releases",
}
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
ROOT = Path(__file__).parents[3]


def run(preview: bool = False, secrets: tuple[str, ...] = ("queuePassword",), **more: Any):
    return recorder.run(
        STACK, CONFIG | more, stacks={BASE: BASE_OUTPUTS}, preview=preview, secrets=secrets
    )


@pytest.fixture(scope="module")
def control() -> recorder.Run:
    return run()


def test_the_world_reaches_443_of_the_load_balancer_and_nothing_else(control: recorder.Run) -> None:
    open_to_all = [r for r in control.all(INGRESS) if r.properties.get("cidrIpv4") == "0.0.0.0/0"]
    assert [(r.name, r.properties["fromPort"], r.properties["toPort"]) for r in open_to_all] == [
        ("front-tls", 443, 443)
    ]
    (listener,) = control.all("aws:lb/listener:Listener")
    assert (listener.properties["port"], listener.properties["protocol"]) == (443, "HTTPS")


def test_database_and_queue_are_reached_from_the_hosts_only(control: recorder.Run) -> None:
    rules = {r.name: r.properties for r in control.all(INGRESS)}
    assert rules["database"]["referencedSecurityGroupId"] == "hosts-id"
    assert rules["queue"]["referencedSecurityGroupId"] == "hosts-id"


def test_the_database_is_encrypted_backed_up_and_cannot_be_lost_by_a_slip(
    control: recorder.Run,
) -> None:
    database = control.only("aws:rds/instance:Instance")
    properties = database.properties
    assert database.is_protected
    assert properties["deletionProtection"] is True
    assert properties["skipFinalSnapshot"] is False
    assert properties["finalSnapshotIdentifier"]
    assert properties["storageEncrypted"] is True
    assert properties["publiclyAccessible"] is False
    assert properties["manageMasterUserPassword"] is True
    assert properties["backupRetentionPeriod"] == 14
    parameters = control.only("aws:rds/parameterGroup:ParameterGroup").properties["parameters"]
    assert parameters == [{"name": "rds.force_ssl", "value": "1"}]


def test_who_is_leaving_takes_the_protection_off() -> None:
    database = run(deletable="true").only("aws:rds/instance:Instance")
    assert not database.is_protected
    assert database.properties["deletionProtection"] is False
    assert database.properties["skipFinalSnapshot"] is False


def test_the_queue_speaks_tls_asks_a_password_and_never_evicts(control: recorder.Run) -> None:
    queue = control.only("aws:elasticache/replicationGroup:ReplicationGroup").properties
    assert queue["engine"] == "valkey"
    assert queue["transitEncryptionEnabled"] is True
    assert queue["atRestEncryptionEnabled"] is True
    assert queue["authToken"] == PASSWORD
    group = control.only("aws:elasticache/parameterGroup:ParameterGroup").properties
    assert group["parameters"] == [{"name": "maxmemory-policy", "value": "noeviction"}]


def test_the_password_is_a_secret_wherever_it_is_registered(control: recorder.Run) -> None:
    assert {(r.type, name) for r in control.resources for name in r.secrets} == {
        ("aws:elasticache/replicationGroup:ReplicationGroup", "authToken"),
        ("aws:secretsmanager/secretVersion:SecretVersion", "secretString"),
    }
    open_text = recorder.text(
        [{k: v for k, v in r.properties.items() if k not in r.secrets} for r in control.resources]
    )
    assert PASSWORD not in open_text
    assert PASSWORD not in recorder.text(control.outputs)


def test_a_password_that_lies_open_in_git_is_refused_and_not_repeated() -> None:
    with pytest.raises(pulumi.RunError, match="encrypt it: pulumi config set --secret") as raised:
        run(secrets=())
    assert PASSWORD not in str(raised.value)
    with pytest.raises(pulumi.RunError, match="queuePassword is not good") as raised:
        run(queuePassword="hunter2")
    assert "hunter2" not in str(raised.value)


def test_hosts_are_told_where_everything_is_and_no_secret(control: recorder.Run) -> None:
    template = control.only("aws:ec2/launchTemplate:LaunchTemplate").properties
    text = base64.b64decode(template["userData"]).decode()
    assert "STORE_URL='s3://acme-artifacts?region=eu-west-1'" in text
    files = yaml.safe_load(text)["write_files"]
    assert [file["path"] for file in files] == [
        "/etc/talkoot/control.env",
        "/etc/talkoot/aws-infra.conf",
    ]
    assert f"role_arn = {BASE_OUTPUTS['pulumiRoleArn']}" in files[1]["content"]
    assert "QUEUE_SECRET_ARN=arn:secretsmanager:queue" in text
    assert PASSWORD not in text
    assert template["metadataOptions"]["httpPutResponseHopLimit"] == 1


def test_hosts_stand_behind_both_target_groups(control: recorder.Run) -> None:
    group = control.only("aws:autoscaling/group:Group").properties
    assert group["targetGroupArns"] == ["arn:lb:web", "arn:lb:streams"]
    assert (group["minSize"], group["desiredCapacity"], group["maxSize"]) == (2, 2, 3)


def test_every_live_path_of_the_service_is_routed_to_streams() -> None:
    code = (ROOT / "control/streams/app.py").read_text(encoding="utf-8")
    paths = {path for path in re.findall(r'Route\("([^"]+)"', code) if "/store/" not in path}
    assert paths
    routed = {p for p in paths for pattern in STREAM_PATHS if fnmatch.fnmatch(p, pattern)}
    assert routed == paths
    assert len(STREAM_PATHS) <= 5


def test_access_logs_go_to_a_bucket_with_the_only_key_that_they_can_use(
    control: recorder.Run,
) -> None:
    rules = control.only(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    ).properties["rules"]
    assert rules[0]["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "AES256"
    balancer = control.only("aws:lb/loadBalancer:LoadBalancer").properties
    assert balancer["accessLogs"]["enabled"] is True
    assert balancer["enableDeletionProtection"] is True


def test_a_preview_needs_no_value_of_the_cloud() -> None:
    assert run(preview=True).only("aws:rds/instance:Instance")
