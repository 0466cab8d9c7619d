"""Worker groups: launch templates and Auto Scaling groups."""

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import ClientError

from tests.engines.aws.provider.account import Account, Refused, is_gone
from tests.engines.aws.provider.kinds import (
    Base,
    Change,
    Values,
    first,
    kind,
    pascal,
    picked,
    tag_list,
)

_DRAIN_LIMIT_S = 60
_OWN_TEMPLATE_KEYS = [
    "name",
    "namePrefix",
    "description",
    "updateDefaultVersion",
    "defaultVersion",
    "tags",
    "region",
    "vpcSecurityGroupIds",
]
_RENAMED = {"RamDiskId": "RamdiskId"}


@kind("aws:ec2/launchTemplate:LaunchTemplate", "EC2 Launch Template")
class LaunchTemplate(Base):
    """A template; every change is a new version."""

    named_by = "name"
    replaces = frozenset({"name", "namePrefix"})
    moved = frozenset({"latestVersion", "defaultVersion"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        tags = tag_list(inputs)
        specs = [{"ResourceType": "launch-template", "Tags": tags}] if tags else []
        made = aws("ec2").create_launch_template(
            LaunchTemplateName=inputs["name"],
            VersionDescription=inputs.get("description", ""),
            LaunchTemplateData=_template_data(inputs),
            TagSpecifications=specs,
        )["LaunchTemplate"]
        return made["LaunchTemplateId"], _template_outputs(aws, made)

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        found = _template(aws, id_)
        if found is None:
            return None
        versions = aws("ec2").describe_launch_template_versions(
            LaunchTemplateId=id_, Versions=["$Default"]
        )["LaunchTemplateVersions"]
        data = versions[0]["LaunchTemplateData"]
        seen: Any = picked(
            data, ImageId="imageId", InstanceType="instanceType", UserData="userData"
        )
        return {**_template_outputs(aws, found), **seen}

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        ec2 = aws("ec2")
        if change.keys - {"tags", "updateDefaultVersion"}:
            version = ec2.create_launch_template_version(
                LaunchTemplateId=id_,
                VersionDescription=change.new.get("description", ""),
                LaunchTemplateData=_template_data(change.new),
            )["LaunchTemplateVersion"]["VersionNumber"]
            if change.new.get("updateDefaultVersion"):
                ec2.modify_launch_template(LaunchTemplateId=id_, DefaultVersion=str(version))
        if "tags" in change.keys:
            ec2.create_tags(Resources=[id_], Tags=tag_list(change.new))
        return _template_outputs(aws, _template(aws, id_))

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        if _template(aws, id_) is not None:
            aws("ec2").delete_launch_template(LaunchTemplateId=id_)


def _template(aws: Account, id_: str) -> Any:
    return first(
        lambda: aws("ec2").describe_launch_templates(LaunchTemplateIds=[id_]), "LaunchTemplates"
    )


def _template_outputs(aws: Account, found: Any) -> Values:
    return {
        "arn": aws.arn("ec2", f"launch-template/{found['LaunchTemplateId']}"),
        "latestVersion": found["LatestVersionNumber"],
        "defaultVersion": found["DefaultVersionNumber"],
    }


def _template_data(inputs: Values) -> Values:
    own = {name: value for name, value in inputs.items() if name not in _OWN_TEMPLATE_KEYS}
    data: Any = {_RENAMED.get(name, name): value for name, value in pascal(own).items()}
    if groups := inputs.get("vpcSecurityGroupIds"):
        data["SecurityGroupIds"] = groups
    for interface in data.get("NetworkInterfaces", []):
        interface["Groups"] = interface.pop("SecurityGroups", [])
        _truths(interface, "AssociatePublicIpAddress", "DeleteOnTermination")
    for device in data.get("BlockDeviceMappings", []):
        _truths(device.get("Ebs", {}), "Encrypted", "DeleteOnTermination")
    if "EbsOptimized" in data:
        _truths(data, "EbsOptimized")
    data["TagSpecifications"] = [
        {"ResourceType": spec["resourceType"], "Tags": tag_list(spec)}
        for spec in inputs.get("tagSpecifications", [])
    ]
    return data


def _truths(values: Values, *names: str) -> None:
    """The provider takes these as text, for they may be left open."""
    for name in names:
        if name in values:
            values[name] = str(values[name]).lower() == "true"


@kind("aws:autoscaling/group:Group", "Auto Scaling Group")
class Group(Base):
    """A group. As with the real provider an update sends what changed and nothing else."""

    named_by = "name"
    replaces = frozenset({"name", "namePrefix", "placementGroup"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        name = inputs["name"]
        aws("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=name,
            NewInstancesProtectedFromScaleIn=bool(inputs.get("protectFromScaleIn")),
            Tags=_group_tags(name, inputs),
            **_sizes(inputs),
            **_made_of(inputs),
            **picked(inputs, healthCheckType="HealthCheckType"),
        )
        self._suspend(aws, name, inputs.get("suspendedProcesses") or [])
        return name, {"arn": self._find(aws, name)["AutoScalingGroupARN"]}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        found = self._find(aws, id_)
        if found is None:
            return None
        return {
            "name": id_,
            "arn": found["AutoScalingGroupARN"],
            "minSize": found["MinSize"],
            "maxSize": found["MaxSize"],
            "desiredCapacity": found["DesiredCapacity"],
            "protectFromScaleIn": found["NewInstancesProtectedFromScaleIn"],
            "vpcZoneIdentifiers": _same_order(
                found["VPCZoneIdentifier"].split(","), state.get("vpcZoneIdentifiers")
            ),
            "suspendedProcesses": _same_order(
                [item["ProcessName"] for item in found["SuspendedProcesses"]],
                state.get("suspendedProcesses"),
            ),
            "tags": [
                {
                    "key": tag["Key"],
                    "value": tag["Value"],
                    "propagateAtLaunch": tag["PropagateAtLaunch"],
                }
                for tag in sorted(found["Tags"], key=lambda tag: tag["Key"])
            ],
        }

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        scaling = aws("autoscaling")
        changed = {key: change.new[key] for key in change.keys if key in change.new}
        sent = {**_sizes(changed), **_made_of(changed)}
        if "protectFromScaleIn" in changed:
            sent["NewInstancesProtectedFromScaleIn"] = changed["protectFromScaleIn"]
        if sent:
            scaling.update_auto_scaling_group(AutoScalingGroupName=id_, **sent)
        if "tags" in change.keys:
            gone = {tag["key"] for tag in change.old.get("tags", [])} - {
                tag["key"] for tag in change.new.get("tags", [])
            }
            if gone:
                scaling.delete_tags(Tags=[_tag(id_, {"key": key}) for key in sorted(gone)])
            scaling.create_or_update_tags(Tags=_group_tags(id_, change.new))
        if "suspendedProcesses" in change.keys:
            wanted = change.new.get("suspendedProcesses") or []
            gone = sorted(set(change.old.get("suspendedProcesses") or []) - set(wanted))
            if gone:
                scaling.resume_processes(AutoScalingGroupName=id_, ScalingProcesses=gone)
            self._suspend(aws, id_, wanted)
        return {}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        """End the group as the real provider does: empty it first, unless forced."""
        scaling = aws("autoscaling")
        force = bool(state.get("forceDelete"))
        try:
            if not force:
                self._empty(aws, id_)
            scaling.delete_auto_scaling_group(AutoScalingGroupName=id_, ForceDelete=force)
        except ClientError as error:
            if not is_gone(error):
                raise

    def _empty(self, aws: Account, name: str) -> None:
        scaling, deadline = aws("autoscaling"), time.monotonic() + _DRAIN_LIMIT_S
        scaling.update_auto_scaling_group(
            AutoScalingGroupName=name, MinSize=0, MaxSize=0, DesiredCapacity=0
        )
        while members := (self._find(aws, name) or {}).get("Instances"):
            ids = [m["InstanceId"] for m in members if m["ProtectedFromScaleIn"]]
            if ids:
                scaling.set_instance_protection(
                    AutoScalingGroupName=name, InstanceIds=ids, ProtectedFromScaleIn=False
                )
            if time.monotonic() > deadline:
                raise Refused(f"group still has {len(members)} instances")
            aws.is_cancelled.wait(0.1)

    def _suspend(self, aws: Account, name: str, processes: list[str]) -> None:
        if processes:
            aws("autoscaling").suspend_processes(
                AutoScalingGroupName=name, ScalingProcesses=processes
            )

    def _find(self, aws: Account, name: str) -> Any:
        return first(
            lambda: aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name]),
            "AutoScalingGroups",
        )


def _sizes(inputs: Values) -> Values:
    return picked(inputs, minSize="MinSize", maxSize="MaxSize", desiredCapacity="DesiredCapacity")


def _made_of(inputs: Values) -> Values:
    """Say what machines are made of, and where."""
    sent: Values = {}
    if subnets := inputs.get("vpcZoneIdentifiers"):
        sent["VPCZoneIdentifier"] = ",".join(subnets)
    if template := inputs.get("launchTemplate"):
        named = {"id": "LaunchTemplateId", "name": "LaunchTemplateName", "version": "Version"}
        sent["LaunchTemplate"] = picked(template, **named)
    if mixed := inputs.get("mixedInstancesPolicy"):
        sent["MixedInstancesPolicy"] = _mixed(mixed)
    return sent


def _mixed(mixed: Values) -> Values:
    template = pascal(mixed["launchTemplate"])
    sent: Values = {"LaunchTemplate": template}
    if distribution := mixed.get("instancesDistribution"):
        sent["InstancesDistribution"] = pascal(distribution)
    return sent


def _group_tags(name: str, inputs: Values) -> list[Values]:
    return [_tag(name, tag) for tag in inputs.get("tags") or []]


def _tag(name: str, tag: Values) -> Values:
    about = {"ResourceId": name, "ResourceType": "auto-scaling-group"}
    return {**about, **pascal(tag)}


def _same_order(found: list[str], before: list[str] | None) -> list[str]:
    """These are sets: keep the order that was given, or every refresh is a difference."""
    return before if before is not None and sorted(before) == sorted(found) else sorted(found)
