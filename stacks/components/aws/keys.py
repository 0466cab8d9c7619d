"""The two keys of a region: of disks, and of data (buckets, images, secrets)."""

from __future__ import annotations

import pulumi
from pulumi_aws import kms

from stacks import names
from stacks.components.aws.documents import resources
from stacks.components.aws.documents.common import Place
from stacks.components.aws.parts import Component


class Keys(Component):
    """Keys turn by themselves every year; without them the data is lost, so they are protected."""

    def __init__(self, place: Place, opts: pulumi.ResourceOptions) -> None:
        super().__init__("Keys", place, opts)
        self.disks = self._key("disks", resources.disk_key(place), is_retained=False)
        # The buckets outlive the stack, and are nothing without it.
        self.data = self._key("data", resources.data_key(place), is_retained=True)
        self.register_outputs({})

    def _key(self, part: str, policy: str, *, is_retained: bool) -> kms.Key:
        key = kms.Key(
            part,
            description=f"Talkoot {part} of {self.place.stack.env}",
            policy=policy,
            enable_key_rotation=True,
            deletion_window_in_days=30,
            opts=self.child(protect=self.place.is_kept, retain_on_delete=is_retained),
        )
        kms.Alias(
            part,
            name=f"alias/{names.physical(self.place.stack, part)}",
            target_key_id=key.key_id,
            opts=self.child(),
        )
        return key
