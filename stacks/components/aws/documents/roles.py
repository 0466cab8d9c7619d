"""What workers, the control service and `talkoot infra` may do in an account, and no more.

Conditions are plain StringEquals on tags. `ForAllValues:` would also hold where the tag is absent,
and so let strangers' machines through.
"""

from __future__ import annotations

from collections.abc import Sequence

from stacks.components.aws.documents.common import Place, Statement, allow, document
from stacks.inputs import TAG_GROUP, reclaim_queue_name

PULL = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
)


def worker(place: Place, *, log_group: str, may_cache: bool) -> str:
    """A machine pulls images, and writes its system log where that is wanted; nothing else.

    Data goes by addresses that the control service signs, and so do the agent's releases.
    """
    statements = [
        # The token itself opens nothing; there is no resource to name.
        allow("SignInToRegistry", ["ecr:GetAuthorizationToken"]),
        allow("Pull", PULL, [place.arn("ecr", f"repository/{place.repositories}/*")]),
    ]
    if may_cache:
        cached = place.arn("ecr", f"repository/{place.repositories}/public/*")
        statements.append(
            allow("PullThrough", ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"], [cached])
        )
    if log_group:
        streams = place.arn("logs", f"log-group:{log_group}:log-stream:*")
        statements.append(allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], [streams]))
    return document(*statements)


def control(place: Place, *, buckets: Sequence[str]) -> str:
    """The control service: signs addresses of its own buckets, reads its own images.

    It changes no machine and no group: `talkoot infra` does, by taking the role `pulumi` on.
    """
    return document(
        allow(
            "List",
            ["s3:GetBucketLocation", "s3:ListBucket"],
            [f"arn:aws:s3:::{b}" for b in buckets],
        ),
        allow(
            "ReadAndWrite",
            [
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
            ],
            [f"arn:aws:s3:::{bucket}/*" for bucket in buckets],
        ),
        allow(
            "UseDataKey",
            ["kms:Decrypt", "kms:GenerateDataKey"],
            [place.arn("kms", "key/*")],
            {
                "StringEquals": {
                    **place.owned["StringEquals"],
                    "kms:ViaService": f"s3.{place.region}.amazonaws.com",
                }
            },
        ),
        allow("SignInToRegistry", ["ecr:GetAuthorizationToken"]),
        allow(
            "Images",
            [*PULL, "ecr:DescribeImages"],
            [place.arn("ecr", f"repository/{place.repositories}/*")],
        ),
        allow("BecomeInfra", ["sts:AssumeRole"], [place.role("pulumi")]),
    )


def _machines(place: Place) -> list[Statement]:
    """Write what the cloud's adapter needs: see machines, end named ones, hear of reclaims."""
    groups = place.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/talkoot-*")
    machines = place.arn("ec2", "instance/*")
    return [
        allow(
            "SeeMachines",  # none of these can be limited to resources
            [
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeAutoScalingInstances",
                "autoscaling:DescribeScalingActivities",
                "ec2:DescribeInstances",
                "ec2:DescribeInstanceTypeOfferings",
                "ec2:DescribeSpotPriceHistory",
            ],
        ),
        allow(
            "EndNamedMachines",
            [
                "autoscaling:SetInstanceProtection",
                "autoscaling:TerminateInstanceInAutoScalingGroup",
            ],
            [groups],
            place.owned,
        ),
        allow(
            "EndOrphansAndReadConsoles",
            ["ec2:GetConsoleOutput", "ec2:TerminateInstances"],
            [machines],
            # Of a group, so that it cannot end the control service's own hosts.
            {**place.owned, "StringLike": {f"aws:ResourceTag/{TAG_GROUP}": "?*"}},
        ),
        allow(
            "ReadReclaimNotices",
            ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"],
            [place.arn("sqs", reclaim_queue_name(place.installation))],
        ),
    ]


def pulumi(place: Place, *, state_bucket: str) -> str:
    """`talkoot infra`: makes and changes our own templates and groups, and ends their machines."""
    templates = place.arn("ec2", "launch-template/*")
    groups = place.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/talkoot-*")
    statements = [
        *_machines(place),
        allow(
            "SeeStacks",  # none of these can be limited to resources
            [
                "autoscaling:DescribeLifecycleHooks",
                "autoscaling:DescribeTags",
                "autoscaling:DescribeWarmPool",
                "ec2:DescribeImages",
                "ec2:DescribeLaunchTemplateVersions",
                "ec2:DescribeLaunchTemplates",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
            ],
        ),
        allow("MakeTemplates", ["ec2:CreateLaunchTemplate"], [templates], place.claimed),
        allow(
            "ChangeTemplates",
            [
                "ec2:CreateLaunchTemplateVersion",
                "ec2:DeleteLaunchTemplate",
                "ec2:DeleteLaunchTemplateVersions",
                "ec2:ModifyLaunchTemplate",
            ],
            [templates],
            place.owned,
        ),
        allow(
            "MakeGroups",
            ["autoscaling:CreateAutoScalingGroup", "autoscaling:CreateOrUpdateTags"],
            [groups],
            place.claimed,
        ),
        allow(
            "ChangeGroups",
            [
                "autoscaling:CreateOrUpdateTags",
                "autoscaling:DeleteAutoScalingGroup",
                "autoscaling:DeleteTags",
                "autoscaling:ResumeProcesses",
                "autoscaling:SuspendProcesses",
                "autoscaling:UpdateAutoScalingGroup",
            ],
            [groups],
            place.owned,
        ),
        *_launching(place, templates),
        allow(
            "GiveMachinesTheirRole",
            ["iam:PassRole"],
            [place.role("worker")],
            {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        ),
    ]
    if state_bucket:
        statements += [
            allow("FindState", ["s3:ListBucket"], [f"arn:aws:s3:::{state_bucket}"]),
            allow(
                "KeepState",
                ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
                [f"arn:aws:s3:::{state_bucket}/.pulumi/*"],
            ),
        ]
    return document(*statements)


def _launching(place: Place, templates: str) -> list[Statement]:
    """Write what Auto Scaling asks of whoever makes a group from a launch template."""
    new = [place.arn("ec2", f"{kind}/*") for kind in ("instance", "network-interface", "volume")]
    taken = [place.arn("ec2", f"{kind}/*") for kind in ("security-group", "subnet")]
    images = [f"arn:aws:ec2:{place.region}::{kind}/*" for kind in ("image", "snapshot")]
    return [
        allow("LaunchTagged", ["ec2:RunInstances"], new, place.claimed),
        allow("LaunchFromOurs", ["ec2:RunInstances"], [templates, *taken], place.owned),
        allow("LaunchImages", ["ec2:RunInstances"], images),
        allow(
            "TagAtCreation",
            ["ec2:CreateTags"],
            [*new, templates],
            {"StringEquals": {"ec2:CreateAction": ["CreateLaunchTemplate", "RunInstances"]}},
        ),
    ]


def control_secrets(place: Place, *, queue_secret: str, database: str) -> str:
    """The control service reads the passwords of its own two servers."""
    instance = place.arn("rds", f"db:{database}")
    return document(
        allow(
            "QueuePassword",
            ["secretsmanager:GetSecretValue"],
            [place.arn("secretsmanager", f"secret:{queue_secret}-??????")],
        ),
        allow(
            "DatabasePassword",  # RDS names it by itself, and tags it with its database
            ["secretsmanager:GetSecretValue"],
            [place.arn("secretsmanager", "secret:rds!db-*")],
            {"StringEquals": {"secretsmanager:ResourceTag/aws:rds:primaryDBInstanceArn": instance}},
        ),
        allow(
            "UseDataKey",
            ["kms:Decrypt"],
            [place.arn("kms", "key/*")],
            {
                "StringEquals": {
                    "kms:CallerAccount": place.account,
                    "kms:ViaService": f"secretsmanager.{place.region}.amazonaws.com",
                }
            },
        ),
    )
