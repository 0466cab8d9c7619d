"""What every component on AWS needs to make its resources: where it is, and who is its parent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from stacks.components.aws.documents.common import Place


@dataclass(frozen=True, slots=True)
class Inside:
    """Where a server of ours stands: private, behind its group, under our key."""

    subnet_ids: pulumi.Input[Sequence[str]]
    group_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]


class Component(pulumi.ComponentResource):
    """A concern of one stack; its children are named after it."""

    def __init__(self, kind: str, place: Place, opts: pulumi.ResourceOptions | None) -> None:
        super().__init__(f"talkoot:aws:{kind}", kind[0].lower() + kind[1:], None, opts)
        self.place = place

    def child(self, **options: Any) -> pulumi.ResourceOptions:
        """Give the options of a resource of this component."""
        return pulumi.ResourceOptions(parent=self, **options)
