"""Auto Scaling groups and their members, over moto's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.autoscaling import models
from moto.autoscaling.exceptions import ValidationError
from moto.ec2.models.instance_types import INSTANCE_TYPES

from tests.engines.aws.state import world


class Member(models.InstanceState):
    """A group's machine; it keeps the version of the template that it was made from."""

    made_from: Mapping[str, Any] | None = None
    ready_at: float = 0.0
    gone_at: float | None = None  # when the cloud will have ended it
    missed_at: float | None = None  # when the group saw that it ended by itself
    activity: dict[str, Any]

    @property
    def launch_template(self) -> Any:
        return self.made_from

    @property
    def is_leaving(self) -> bool:
        return self.gone_at is not None


class Group(models.FakeAutoScalingGroup):
    """A group that only notes what is wanted; the clockwork brings its members there."""

    retry_at: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        return (self.region, self.name)

    @property
    def members(self) -> list[Member]:
        return [state for state in self.instance_states if isinstance(state, Member)]

    @property
    def wanted(self) -> int:
        return int(self.desired_capacity or 0)

    @property
    def least(self) -> int:
        return int(self.min_size or 0)

    @property
    def most(self) -> int:
        return int(self.max_size or 0)

    @property
    def market(self) -> str:
        mixed = self.mixed_instances_policy or {}
        distribution = mixed.get("InstancesDistribution") or {}
        if int(distribution.get("OnDemandPercentageAboveBaseCapacity", 100)) == 0:
            return "spot"
        options = self.template_data().get("InstanceMarketOptions") or {}
        return "spot" if options.get("MarketType") == "spot" else "on-demand"

    def policy_as_given(self) -> dict[str, Any] | None:
        """Answer the mixed instances policy as moto takes it: it adds the name to the id."""
        if not self.mixed_instances_policy:
            return None
        template = self.mixed_instances_policy["LaunchTemplate"]
        spec = dict(template["LaunchTemplateSpecification"])
        if "LaunchTemplateId" in spec:
            spec.pop("LaunchTemplateName", None)
        changed = {**template, "LaunchTemplateSpecification": spec}
        return {**self.mixed_instances_policy, "LaunchTemplate": changed}

    def suspends(self, process: str) -> bool:
        return process in [item["ProcessName"] for item in self.suspended_processes]

    def set_desired_capacity(self, new_capacity: int | None) -> None:
        self.desired_capacity = self.least if new_capacity is None else new_capacity
        self.retry_at = 0.0

    def template_data(self) -> Mapping[str, Any]:
        if self.ec2_launch_template is None:
            return {}
        return self.ec2_launch_template.get_version(self.launch_template_version).data

    def check(self) -> None:
        """Refuse a template that no machine could be made from."""
        start = "You must use a valid fully-formed launch template. "
        if self.ec2_launch_template is None:
            return
        wanted, image = self.instance_type, str(self.image_id)
        if wanted not in INSTANCE_TYPES:
            raise ValidationError(f"{start}Invalid value '{wanted}' for InstanceType.")
        if not image.startswith("ami-"):
            raise ValidationError(f'{start}Invalid id: "{image}" (expecting "ami-...")')
        if world.faults.take("no-image", image=image):
            raise ValidationError(f"{start}The image id '[{image}]' does not exist")


def check_bounds(least: Any, most: Any, wanted: Any) -> None:
    """Refuse a number outside the bounds, in Amazon's words."""
    low, high = int(least or 0), int(most or 0)
    if low > high:
        raise ValidationError(
            f"Max bound, {high}, must be greater than or equal to min bound, {low}"
        )
    if wanted is not None and not low <= int(wanted) <= high:
        raise ValidationError(
            f"Desired capacity:{wanted} must be between the specified min size:{low} and "
            f"max size:{high}"
        )
