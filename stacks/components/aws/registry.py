"""The repositories of container images."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_aws import ecr

from stacks.components.aws.documents import resources
from stacks.components.aws.documents.common import Place
from stacks.components.aws.parts import Component

UNTAGGED_DAYS = 14
KEEP_IMAGES = 100


class Registry(Component):
    """A repository a purpose; a tag is written once, and every image is scanned as it comes."""

    def __init__(
        self,
        place: Place,
        parts: Sequence[str],
        key_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("Registry", place, opts)
        self.key_arn = key_arn
        self.repositories = [self._repository(part) for part in parts]
        self.register_outputs({})

    def _repository(self, part: str) -> ecr.Repository:
        repository = ecr.Repository(
            part,
            name=f"{self.place.repositories}/{part}",
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": self.key_arn}],
            force_delete=False,
            opts=self.child(protect=self.place.is_kept),
        )
        ecr.LifecyclePolicy(
            part,
            repository=repository.name,
            policy=resources.images_kept(UNTAGGED_DAYS, KEEP_IMAGES),
            opts=self.child(),
        )
        return repository

    def mirror(self) -> None:
        """Keep copies of what is pulled from the public registry; repositories come by template."""
        prefix = f"{self.place.repositories}/public"
        template = ecr.RepositoryCreationTemplate(
            "public",
            prefix=prefix,
            description="Copies of public images",
            applied_fors=["PULL_THROUGH_CACHE"],
            image_tag_mutability="MUTABLE",  # the other side may move a tag
            # With a key of ours the registry would need a role of its own; these are public images.
            encryption_configurations=[{"encryption_type": "AES256"}],
            lifecycle_policy=resources.images_kept(UNTAGGED_DAYS, KEEP_IMAGES),
            opts=self.child(),
        )
        ecr.PullThroughCacheRule(
            "public",
            ecr_repository_prefix=prefix,
            upstream_registry_url="public.ecr.aws",
            opts=self.child(depends_on=[template]),
        )
