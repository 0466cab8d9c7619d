"""What every component on AWS needs to make its resources: where it is, and who is its parent."""

from __future__ import annotations

from typing import Any

import pulumi

from stacks.components.aws.documents.common import Place


class Component(pulumi.ComponentResource):
    """A concern of one stack; its children are named after it."""

    def __init__(self, kind: str, place: Place, opts: pulumi.ResourceOptions | None) -> None:
        super().__init__(f"talkoot:aws:{kind}", kind[0].lower() + kind[1:], None, opts)
        self.place = place

    def child(self, **options: Any) -> pulumi.ResourceOptions:
        """Give the options of a resource of this component."""
        return pulumi.ResourceOptions(parent=self, **options)
