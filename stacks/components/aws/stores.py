"""Buckets, each with all that makes one safe: S3 spreads that over seven resources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import s3

from stacks.components.aws.documents import resources
from stacks.components.aws.documents.common import Place, Statement
from stacks.components.aws.parts import Component

ABORT_UPLOADS_DAYS = 7
KEEP_OLD_VERSIONS_DAYS = 30


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """How one bucket differs from the next."""

    part: str
    expire_days: int = 0  # 0: never
    is_versioned: bool = False
    web_origin: str = ""  # whose pages may read and write it
    key_arn: pulumi.Input[str] | None = None  # None: a key that S3 keeps
    statements: Sequence[Statement] = ()


class Store(pulumi.ComponentResource):
    """One bucket. It outlives `pulumi destroy`: what people stored goes only by their own hand."""

    def __init__(
        self, place: Place, settings: BucketSettings, opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("talkoot:aws:Store", settings.part, None, opts)
        self.settings = settings
        self.part = settings.part
        self.name = place.bucket(settings.part)
        self.bucket = s3.Bucket(
            self.part,
            bucket=self.name,
            force_destroy=False,
            opts=self._child(protect=place.is_kept, retain_on_delete=True),
        )
        self._lock_down()
        self._encrypt()
        if settings.is_versioned:
            s3.BucketVersioning(
                self.part,
                bucket=self.bucket.id,
                versioning_configuration={"status": "Enabled"},
                opts=self._child(),
            )
        self._expire()
        if settings.web_origin:
            self._let_pages_in(settings.web_origin)
        self.register_outputs({})

    def _child(
        self, *, protect: bool | None = None, retain_on_delete: bool | None = None
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self, protect=protect, retain_on_delete=retain_on_delete
        )

    def _lock_down(self) -> None:
        block = s3.BucketPublicAccessBlock(
            self.part,
            bucket=self.bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child(),
        )
        s3.BucketOwnershipControls(
            self.part,
            bucket=self.bucket.id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self._child(),
        )
        s3.BucketPolicy(
            self.part,
            bucket=self.bucket.id,
            policy=resources.bucket(self.name, *self.settings.statements),
            # The two calls at once fail in S3.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[block]),
        )

    def _encrypt(self) -> None:
        key = self.settings.key_arn
        s3.BucketServerSideEncryptionConfiguration(
            self.part,
            bucket=self.bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "AES256" if key is None else "aws:kms",
                        "kms_master_key_id": key,
                    },
                    "bucket_key_enabled": key is not None,
                }
            ],
            opts=self._child(),
        )

    def _expire(self) -> None:
        rules: list[s3.BucketLifecycleConfigurationRuleArgsDict] = [
            {
                "id": "abort-uploads",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "abort_incomplete_multipart_upload": {"days_after_initiation": ABORT_UPLOADS_DAYS},
            }
        ]
        if self.settings.is_versioned:
            rules.append(
                {
                    "id": "old-versions",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": KEEP_OLD_VERSIONS_DAYS},
                }
            )
        if self.settings.expire_days:
            rules.append(
                {
                    "id": "expire",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "expiration": {"days": self.settings.expire_days},
                }
            )
        s3.BucketLifecycleConfiguration(
            self.part, bucket=self.bucket.id, rules=rules, opts=self._child()
        )

    def _let_pages_in(self, origin: str) -> None:
        s3.BucketCorsConfiguration(
            self.part,
            bucket=self.bucket.id,
            cors_rules=[
                {
                    "allowed_methods": ["GET", "HEAD", "PUT"],
                    "allowed_origins": [origin],
                    "allowed_headers": ["*"],
                    "expose_headers": ["ETag"],
                    "max_age_seconds": 3600,
                }
            ],
            opts=self._child(),
        )


class Stores(Component):
    """The four buckets of a region."""

    def __init__(
        self, place: Place, buckets: Sequence[BucketSettings], opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("Stores", place, opts)
        made = [Store(place, settings, self.child()) for settings in buckets]
        self.names = {store.part: store.name for store in made}
        self.register_outputs({})
