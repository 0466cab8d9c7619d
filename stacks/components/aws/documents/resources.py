"""What keys, buckets, queues and repositories say of who may use them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from stacks.components.aws.documents.common import Place, Statement, allow, document


def _account_rules(place: Place) -> Statement:
    """Let the account's own policies decide; in a key's policy, * is the key itself."""
    return {
        "Sid": "AccountDecides",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{place.account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }


def data_key(place: Place) -> str:
    """The key of buckets and images: the account's policies say who."""
    return document(_account_rules(place))


def disk_key(place: Place) -> str:
    """The key of disks: EC2 uses it for whoever of this account starts a machine.

    Auto Scaling starts machines by a role of its own, so the grant is to the account through EC2,
    as the key that AWS keeps itself for disks has it.
    """
    return document(
        _account_rules(place),
        {
            "Sid": "ThroughEc2",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": [
                "kms:CreateGrant",
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:GenerateDataKeyWithoutPlaintext",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
            "Resource": "*",
            "Condition": {
                "StringEquals": {
                    "kms:CallerAccount": place.account,
                    "kms:ViaService": f"ec2.{place.region}.amazonaws.com",
                }
            },
        },
    )


def bucket(name: str, *extra: Statement) -> str:
    """Refuse what does not come by TLS, whoever asks."""
    return document(
        {
            "Sid": "OnlyByTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        *extra,
    )


def access_logs(place: Place, name: str) -> Statement:
    """Let the load balancers of this account write their access logs."""
    return {
        "Sid": "AccessLogs",
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{name}/*",
        "Condition": {"StringEquals": {"aws:SourceAccount": place.account}},
    }


def reclaim_queue(place: Place, queue: str, rules: Sequence[str]) -> str:
    """Let the rules of this stack send, and nobody else."""
    return document(
        {
            "Sid": "NoticesOnly",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": place.arn("sqs", queue),
            "Condition": {
                "ArnEquals": {"aws:SourceArn": [place.arn("events", f"rule/{r}") for r in rules]}
            },
        }
    )


def flow_logs(place: Place, log_group: str) -> str:
    """Let the network's log be written to its one group."""
    whole = place.arn("logs", f"log-group:{log_group}")
    return document(
        allow(
            "Write",
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [whole, f"{whole}:*"],
        )
    )


def images_kept(untagged_days: int, newest: int) -> str:
    """Drop untagged images after some days, and all but the newest of the tagged."""

    def rule(priority: int, words: str, selection: dict[str, object]) -> dict[str, object]:
        return {
            "rulePriority": priority,
            "description": words,
            "selection": selection,
            "action": {"type": "expire"},
        }

    return json.dumps(
        {
            "rules": [
                rule(
                    1,
                    f"untagged for {untagged_days} days",
                    {
                        "tagStatus": "untagged",
                        "countType": "sinceImagePushed",
                        "countUnit": "days",
                        "countNumber": untagged_days,
                    },
                ),
                rule(
                    2,
                    f"all but the newest {newest}",
                    {
                        "tagStatus": "any",
                        "countType": "imageCountMoreThan",
                        "countNumber": newest,
                    },
                ),
            ]
        },
        sort_keys=True,
    )
