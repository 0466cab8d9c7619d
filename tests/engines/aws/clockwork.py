"""What happens by itself in the world: machines start, fail to start, end; groups heal.

Lowering a group's number ends members that nobody chose, by a seeded throw of dice, so that who
lowers instead of naming is found out. A launch takes a moment and may fail zone by zone.
"""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.core.types import Base64EncodedString
from moto.ec2.models.instance_types import INSTANCE_TYPES

from tests.engines.aws import activities
from tests.engines.aws.groups import Group, Member
from tests.engines.aws.state import ACCOUNT, world

_EVERY_S = 0.03
_log = logging.getLogger(__name__)


def start() -> None:
    threading.Thread(target=_run, name="clockwork", daemon=True).start()


def _run() -> None:
    while True:
        time.sleep(_EVERY_S)
        with world.lock:
            for group in groups():
                try:
                    _tick(group, time.monotonic())
                except Exception:
                    # One broken group must not stop the others; the log is shown with the failure.
                    _log.exception("The group %s", group.key)
                    group.retry_at = time.monotonic() + world.pace.retry_s


def groups() -> Iterator[Group]:
    for backend in list(autoscaling_backends[ACCOUNT].values()):
        for group in list(backend.autoscaling_groups.values()):
            if isinstance(group, Group):
                yield group


def find(instance_id: str) -> tuple[Group, Member] | None:
    for group in groups():
        for member in group.members:
            if member.instance.id == instance_id:
                return group, member
    return None


def _tick(group: Group, at: float) -> None:
    _arrive(group, at)
    _miss(group, at)
    _remove(group, [member for member in group.members if (member.gone_at or at + 1) <= at])
    staying = [member for member in group.members if not member.is_leaving]
    short = group.wanted - len(staying)
    if short > 0 and at >= group.retry_at and not group.suspends("Launch"):
        _launch(group, short)
    elif short < 0 and not group.suspends("Terminate"):
        free = [member for member in staying if not member.protected_from_scale_in]
        for member in world.dice.sample(free, min(-short, len(free))):
            end(group, member, "was selected for termination as the desired capacity was lowered")


def _arrive(group: Group, at: float) -> None:
    for member in group.members:
        if member.lifecycle_state == "Pending" and member.ready_at <= at:
            member.lifecycle_state = "InService"
            _set_state(member.instance, 16, "running")
            activities.succeed(member.activity)
            _tell("started", group, member)


def _miss(group: Group, at: float) -> None:
    """See members that ended by themselves, and let them go if the group may replace them."""
    for member in group.members:
        if member.is_leaving or member.instance.state not in ("terminated", "shutting-down"):
            continue
        if member.missed_at is None:
            member.missed_at = at
            member.health_status = "Unhealthy"
        elif member.missed_at + world.pace.heal_s <= at and not group.suspends("ReplaceUnhealthy"):
            end(group, member, "was taken out of service in response to an EC2 health check")


def _launch(group: Group, count: int) -> None:
    subnets = _subnets(group)
    for _ in range(count):
        for subnet in _least_used(group, subnets):
            why = _refusal(group, subnet.availability_zone, [s.availability_zone for s in subnets])
            if why is None:
                _launch_one(group, subnet)
                break
            failed = world.activities.begin(
                group.key,
                "Launching a new EC2 instance",
                "an instance was started in response to a difference between desired and actual "
                "capacity.",
                Subnet_ID=subnet.id,
                Availability_Zone=subnet.availability_zone,
            )
            activities.fail(failed, why)
        else:
            group.retry_at = time.monotonic() + world.pace.retry_s
            return


def _refusal(group: Group, zone: str, zones: Sequence[str]) -> str | None:
    facts = {"instance_type": group.instance_type, "market": group.market, "group": group.name}
    if fault := world.faults.take("quota", **facts):
        return activities.over_quota(group.market, int(fault.number("limit", 32)))
    if world.faults.take("capacity", zone=zone, **facts):
        others = [other for other in zones if other != zone]
        return activities.no_capacity(group.instance_type, zone, others, group.market)
    if world.faults.take("no-image", image=group.image_id):
        return activities.no_image(str(group.image_id))
    return None


def _launch_one(group: Group, subnet: Any) -> None:
    template = group.ec2_launch_template
    assert template is not None
    version = template.get_version(group.launch_template_version)
    chosen = {"LaunchTemplateId": template.id, "Version": str(version.number)}
    tags = {**version.instance_tags, **group.get_propagated_tags()}
    reservation = group.ec2_backend.run_instances(
        version.image_id,
        1,
        version.user_data,
        [],
        instance_type=version.instance_type,
        tags={"instance": {**tags, "aws:autoscaling:groupName": group.name}},
        placement=subnet.availability_zone,
        launch_template=chosen,
        is_instance_type_default=False,
        associate_public_ip=False,
        subnet_id=subnet.id,
        region_name=group.region,
        instance_market_options={"MarketType": "spot"} if group.market == "spot" else None,
    )
    instance: Any = reservation.instances[0]
    instance.autoscaling_group = group
    _set_state(instance, 0, "pending")
    member = Member(instance, "Pending", "Healthy", group.new_instances_protected_from_scale_in)
    member.made_from = {**chosen, "LaunchTemplateName": template.name}
    member.ready_at = time.monotonic() + world.pace.launch_s
    member.activity = world.activities.begin(
        group.key,
        f"Launching a new EC2 instance: {instance.id}",
        "an instance was started in response to a difference between desired and actual capacity.",
        Subnet_ID=subnet.id,
        Availability_Zone=subnet.availability_zone,
    )
    group.instance_states.append(member)


def end(group: Group, member: Member, cause: str) -> dict[str, Any]:
    """Begin to end a member; it is gone a moment later."""
    member.gone_at = time.monotonic() + world.pace.end_s
    member.lifecycle_state = "Terminating"
    if member.instance.state != "terminated":
        _set_state(member.instance, 32, "shutting-down")
    activity = world.activities.begin(
        group.key,
        f"Terminating EC2 instance: {member.instance.id}",
        f"instance {member.instance.id} {cause}.",
        Availability_Zone=str(member.instance.placement.zone),
    )
    member.activity = activity
    _tell("ended", group, member)
    return activity


def _remove(group: Group, members: Iterable[Member]) -> None:
    for member in members:
        stop(group.ec2_backend, member.instance)
        activities.succeed(member.activity)
        group.instance_states.remove(member)


def leave(group: Group) -> None:
    """Let a group that is deleted go, with its members."""
    _remove(group, group.members)


def stop(ec2: Any, instance: Any) -> None:
    """Make moto's record say that the machine has ended."""
    if instance.state != "terminated":
        ec2.terminate_instances([instance.id])


def _set_state(instance: Any, code: int, name: str) -> None:
    instance._state.code, instance._state.name = code, name


def _subnets(group: Group) -> list[Any]:
    names = str(group.vpc_zone_identifier or "").split(",")
    return list(group.ec2_backend.describe_subnets(subnet_ids=[name for name in names if name]))


def _least_used(group: Group, subnets: Sequence[Any]) -> list[Any]:
    used = [member.instance.subnet_id for member in group.members if not member.is_leaving]
    return sorted(subnets, key=lambda subnet: (used.count(subnet.id), subnet.id))


def _tell(event: str, group: Group, member: Member) -> None:
    world.tell_machine(event, **describe(group, member.instance, member.made_from or {}))


def user_data(instance: Any) -> str:
    """Answer the text that the machine reads at its start."""
    given = instance.user_data
    if not given:
        return ""
    encoded = given.as_bytes() if isinstance(given, Base64EncodedString) else given
    return base64.b64decode(encoded).decode(errors="replace")


def describe(group: Group | None, instance: Any, made_from: Any) -> dict[str, Any]:
    """Say what whoever boots the machine must know."""
    kind = INSTANCE_TYPES.get(instance.instance_type, {})
    facts = {"instance_type": instance.instance_type, "group": group.name if group else ""}
    return {
        **facts,
        "instance_id": instance.id,
        "region": instance.region_name,
        "zone": instance.placement.zone,
        "image": instance.image_id,
        "market": instance.lifecycle or "on-demand",
        "user_data": user_data(instance),
        "tags": {tag["key"]: tag["value"] for tag in instance.get_tags()},
        "template_version": made_from.get("Version", ""),
        "cpus": kind.get("VCpuInfo", {}).get("DefaultVCpus", 0),
        "boots": world.faults.take("no-boot", **facts) is None,
    }
