"""The verbs of Auto Scaling with the checks that moto leaves out, in the place of moto's own.

moto launches at once, never fails, takes any size and puts every machine into the first zone
(infrastructure.md 5.5); see clockwork.py for what happens here instead.
"""

from __future__ import annotations

from typing import Any

from moto.autoscaling import models
from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from tests.engines.aws import clockwork
from tests.engines.aws.groups import Group, Member, check_bounds
from tests.engines.aws.state import world

_PAGE = 100


def install() -> None:
    """Put this in the place of moto's own, for the whole process."""
    models.FakeAutoScalingGroup = Group
    models.autoscaling_backends.backend = Scaling
    for name, verb in _VERBS.items():
        setattr(AutoScalingResponse, name, verb)


class Scaling(models.AutoScalingBackend):
    """One region's groups."""

    __module__ = models.__name__  # moto finds a backend's addresses beside its module

    def create_auto_scaling_group(self, *_: Any, **given: Any) -> Any:
        name: str = given["name"]
        if name in self.autoscaling_groups:
            raise AutoscalingClientError(
                "AlreadyExists",
                "AutoScalingGroup by this name already exists - A group with the name "
                f"{name} already exists",
            )
        check_bounds(given.get("min_size"), given.get("max_size"), given.get("desired_capacity"))
        group = super().create_auto_scaling_group(**given)
        try:
            assert isinstance(group, Group)
            group.check()
        except AutoscalingClientError:
            del self.autoscaling_groups[name]
            raise
        return group

    def update_auto_scaling_group(self, *_: Any, **given: Any) -> Any:
        group = self.group(given["name"])
        least = group.least if given.get("min_size") is None else int(given["min_size"])
        most = group.most if given.get("max_size") is None else int(given["max_size"])
        check_bounds(least, most, given.get("desired_capacity"))
        if given.get("desired_capacity") is None:
            # Amazon moves the wanted number into new bounds.
            given["desired_capacity"] = min(max(group.wanted, least), most)
        if not given.get("launch_template") and not given.get("mixed_instances_policy"):
            # moto would forget the policy when sizes alone change.
            given["mixed_instances_policy"] = group.policy_as_given()
        template = (group.ec2_launch_template, group.launch_template_version)
        updated = super().update_auto_scaling_group(**given)
        try:
            group.check()
        except AutoscalingClientError:
            group.ec2_launch_template, group.launch_template_version = template
            raise
        return updated

    def set_desired_capacity(self, group_name: str, desired_capacity: int | None) -> None:
        group, wanted = self.group(group_name), int(desired_capacity or 0)
        for is_wrong, word, bound in (
            (wanted > group.most, "above max", group.most),
            (wanted < group.least, "below min", group.least),
        ):
            if is_wrong:
                raise ValidationError(
                    f"New SetDesiredCapacity value {wanted} is {word} value {bound} for the "
                    "AutoScalingGroup."
                )
        group.set_desired_capacity(wanted)

    def terminate_instance(self, instance_id: str, should_decrement: bool) -> Any:
        group, member = self._staying(instance_id)
        if should_decrement and group.wanted - 1 < group.least:
            raise ValidationError(
                f"Currently, desiredSize equals minSize ({group.least}). Terminating instance "
                "without replacement will violate group's min size constraint. Either set "
                "shouldDecrementDesiredCapacity flag to false or lower group's min size."
            )
        if should_decrement:
            group.desired_capacity = group.wanted - 1
        return clockwork.end(
            group, member, "was taken out of service in response to a user request"
        )

    def set_instance_protection(
        self, group_name: str, instance_ids: list[str], protected_from_scale_in: bool | None
    ) -> None:
        known = {member.instance.id for member in self.group(group_name).members}
        for instance_id in instance_ids:
            if instance_id not in known:
                raise ValidationError(
                    f"The instance {instance_id} is not part of Auto Scaling group {group_name}."
                )
        super().set_instance_protection(group_name, instance_ids, protected_from_scale_in)

    def delete_auto_scaling_group(self, group_name: str, force: bool = False) -> None:
        group = self.group(group_name)
        staying = [member for member in group.members if not member.is_leaving]
        if group.members and not force:
            raise AutoscalingClientError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot "
                "instance request(s) still in the group.",
            )
        for member in staying:
            clockwork.end(group, member, "was taken out of service as its group is deleted")
        clockwork.leave(group)
        del self.autoscaling_groups[group_name]

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """Leave it to the clockwork to see that they are gone, in its own time."""

    def group(self, name: str) -> Group:
        group = self.autoscaling_groups.get(name)
        if not isinstance(group, Group):
            raise ValidationError("AutoScalingGroup name not found - AutoScalingGroup not found")
        return group

    def _staying(self, instance_id: str) -> tuple[Group, Member]:
        for group in self.autoscaling_groups.values():
            assert isinstance(group, Group)
            for member in group.members:
                if member.instance.id == instance_id and not member.is_leaving:
                    return group, member
        raise ValidationError(
            "Instance Id not found - No managed instance found for instance ID: " + instance_id
        )


def _describe_activities(response: AutoScalingResponse) -> ActionResult:
    name = response._get_param("AutoScalingGroupName")
    if name:
        known = list(world.activities.of((response.region, name)))
    else:
        known = list(world.activities.all())
    first = int(response._get_param("NextToken") or 0)
    size = int(response._get_param("MaxRecords") or _PAGE)
    following = str(first + size) if len(known) > first + size else None
    return ActionResult({"Activities": known[first : first + size], "NextToken": following})


def _delete_group(response: AutoScalingResponse) -> EmptyResult:
    backend: Any = response.autoscaling_backend
    force = response._get_bool_param("ForceDelete", False)
    backend.delete_auto_scaling_group(response._get_param("AutoScalingGroupName"), bool(force))
    return EmptyResult()


_VERBS = {
    "describe_scaling_activities": _describe_activities,
    "delete_auto_scaling_group": _delete_group,
}
