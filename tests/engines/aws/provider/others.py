"""Identity, keys, queues, events, logs and secrets: small things of many services, in moto."""

from __future__ import annotations

import json
from typing import Any

from tests.engines.aws.provider.account import Account, or_none
from tests.engines.aws.provider.kinds import (
    Base,
    Change,
    Values,
    first,
    kind,
    picked,
    tag_list,
)


@kind("aws:iam/role:Role", "IAM Role")
class Role(Base):
    named_by = "name"
    replaces = frozenset({"name", "namePrefix", "path"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        aws("iam").create_role(
            RoleName=inputs["name"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Tags=tag_list(inputs),
            **picked(inputs, description="Description", maxSessionDuration="MaxSessionDuration"),
        )
        return inputs["name"], self.read(aws, inputs["name"], inputs) or {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        found = or_none(lambda: aws("iam").get_role(RoleName=id_))
        if found is None:
            return None
        role = found["Role"]
        tags = state.get("tags") or {}
        return {"name": id_, "arn": role["Arn"], "uniqueId": role["RoleId"], "tagsAll": tags}

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        iam = aws("iam")
        if "assumeRolePolicy" in change.keys:
            document = change.new["assumeRolePolicy"]
            iam.update_assume_role_policy(RoleName=id_, PolicyDocument=document)
        if "tags" in change.keys:
            iam.tag_role(RoleName=id_, Tags=tag_list(change.new))
        given = picked(
            change.new, description="Description", maxSessionDuration="MaxSessionDuration"
        )
        iam.update_role(RoleName=id_, **given)
        return {"tagsAll": change.new.get("tags") or {}}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        or_none(lambda: aws("iam").delete_role(RoleName=id_))


@kind("aws:iam/rolePolicy:RolePolicy", "IAM Role Policy")
class RolePolicy(Base):
    named_by = "name"
    replaces = frozenset({"name", "role"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        self._put(aws, inputs)
        return f"{inputs['role']}:{inputs['name']}", {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        role, _, name = id_.partition(":")
        found = or_none(lambda: aws("iam").get_role_policy(RoleName=role, PolicyName=name))
        if found is None:
            return None
        same = found["PolicyDocument"] == json.loads(state["policy"])
        return {} if same else {"policy": json.dumps(found["PolicyDocument"])}

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        self._put(aws, change.new)
        return {}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        role, _, name = id_.partition(":")
        or_none(lambda: aws("iam").delete_role_policy(RoleName=role, PolicyName=name))

    def _put(self, aws: Account, inputs: Values) -> None:
        names = {"role": "RoleName", "name": "PolicyName", "policy": "PolicyDocument"}
        aws("iam").put_role_policy(**picked(inputs, **names))


@kind("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "IAM Role Policy Attachment")
class RolePolicyAttachment(Base):
    replaces = frozenset({"policyArn", "role"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        aws("iam").attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
        return f"{inputs['role']}-{inputs['policyArn']}", {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        found = or_none(lambda: aws("iam").list_attached_role_policies(RoleName=state["role"]))
        known = [one["PolicyArn"] for one in (found or {}).get("AttachedPolicies", [])]
        return {} if state["policyArn"] in known else None

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        named = picked(state, role="RoleName", policyArn="PolicyArn")
        or_none(lambda: aws("iam").detach_role_policy(**named))


@kind("aws:iam/instanceProfile:InstanceProfile", "IAM Instance Profile")
class InstanceProfile(Base):
    named_by = "name"
    replaces = frozenset({"name", "namePrefix", "path", "role"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        name, iam = inputs["name"], aws("iam")
        iam.create_instance_profile(InstanceProfileName=name, Tags=tag_list(inputs))
        if inputs.get("role"):
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=inputs["role"])
        return name, self.read(aws, name, inputs) or {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        found = or_none(lambda: aws("iam").get_instance_profile(InstanceProfileName=id_))
        if found is None:
            return None
        tags = state.get("tags") or {}
        return {"name": id_, "arn": found["InstanceProfile"]["Arn"], "tagsAll": tags}

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        aws("iam").tag_instance_profile(InstanceProfileName=id_, Tags=tag_list(change.new))
        return {"tagsAll": change.new.get("tags") or {}}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        iam, role = aws("iam"), state.get("role")
        if role:
            both = {"InstanceProfileName": id_, "RoleName": role}
            or_none(lambda: iam.remove_role_from_instance_profile(**both))
        or_none(lambda: iam.delete_instance_profile(InstanceProfileName=id_))


@kind("aws:kms/key:Key", "KMS Key")
class Key(Base):
    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        tags = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in tag_list(inputs)]
        given = picked(inputs, description="Description", policy="Policy")
        made = aws("kms").create_key(Tags=tags, **given)["KeyMetadata"]
        if inputs.get("enableKeyRotation"):
            aws("kms").enable_key_rotation(KeyId=made["KeyId"])
        return made["KeyId"], self.read(aws, made["KeyId"], inputs) or {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        found = or_none(lambda: aws("kms").describe_key(KeyId=id_))
        if found is None or found["KeyMetadata"]["KeyState"] == "PendingDeletion":
            return None
        arn = found["KeyMetadata"]["Arn"]
        return {"keyId": id_, "arn": arn, "tagsAll": state.get("tags") or {}}

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        if "policy" in change.keys:
            policy = change.new["policy"]
            aws("kms").put_key_policy(KeyId=id_, PolicyName="default", Policy=policy)
        return {"tagsAll": change.new.get("tags") or {}}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        days = int(state.get("deletionWindowInDays") or 30)
        or_none(lambda: aws("kms").schedule_key_deletion(KeyId=id_, PendingWindowInDays=days))


@kind("aws:kms/alias:Alias", "KMS Alias")
class Alias(Base):
    replaces = frozenset({"name"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        name, key = inputs["name"], inputs["targetKeyId"]
        aws("kms").create_alias(AliasName=name, TargetKeyId=key)
        return name, {"arn": aws.arn("kms", name)}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        aliases = aws("kms").list_aliases()["Aliases"]
        return {} if any(alias["AliasName"] == id_ for alias in aliases) else None

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        or_none(lambda: aws("kms").delete_alias(AliasName=id_))


_QUEUE = {
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
}


@kind("aws:sqs/queue:Queue", "SQS Queue")
class Queue(Base):
    named_by = "name"
    replaces = frozenset({"name", "namePrefix", "fifoQueue"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        tags = {tag["Key"]: tag["Value"] for tag in tag_list(inputs)}
        url = aws("sqs").create_queue(
            QueueName=inputs["name"], Attributes=self._attributes(inputs), tags=tags
        )["QueueUrl"]
        return url, self.read(aws, url, inputs) or {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        asked = {"QueueUrl": id_, "AttributeNames": ["QueueArn"]}
        found = or_none(lambda: aws("sqs").get_queue_attributes(**asked))
        if found is None:
            return None
        arn = found["Attributes"]["QueueArn"]
        return {"arn": arn, "url": id_, "tagsAll": state.get("tags") or {}}

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        attributes = self._attributes(change.new)
        aws("sqs").set_queue_attributes(QueueUrl=id_, Attributes=attributes)
        return {"tagsAll": change.new.get("tags") or {}}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        or_none(lambda: aws("sqs").delete_queue(QueueUrl=id_))

    def _attributes(self, inputs: Values) -> dict[str, str]:
        return {name: str(value).lower() for name, value in picked(inputs, **_QUEUE).items()}


@kind("aws:sqs/queuePolicy:QueuePolicy", "SQS Queue Policy")
class QueuePolicy(Base):
    replaces = frozenset({"queueUrl"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        self._put(aws, inputs["queueUrl"], inputs["policy"])
        return inputs["queueUrl"], {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        asked = {"QueueUrl": id_, "AttributeNames": ["Policy"]}
        found = or_none(lambda: aws("sqs").get_queue_attributes(**asked))
        return {} if (found or {}).get("Attributes", {}).get("Policy") else None

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        self._put(aws, id_, change.new["policy"])
        return {}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        or_none(lambda: self._put(aws, id_, ""))

    def _put(self, aws: Account, url: str, policy: str) -> None:
        aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


@kind("aws:cloudwatch/eventRule:EventRule", "EventBridge Rule")
class EventRule(Base):
    named_by = "name"
    replaces = frozenset({"name", "namePrefix", "eventBusName"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        return inputs["name"], self._put(aws, inputs)

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        found = or_none(lambda: aws("events").describe_rule(Name=id_))
        return found and {"arn": found["Arn"], "tagsAll": state.get("tags") or {}}

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        return self._put(aws, change.new)

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        or_none(lambda: aws("events").delete_rule(Name=id_))

    def _put(self, aws: Account, inputs: Values) -> Values:
        names = {"name": "Name", "description": "Description", "eventPattern": "EventPattern"}
        arn = aws("events").put_rule(**picked(inputs, **names))["RuleArn"]
        return {"arn": arn, "tagsAll": inputs.get("tags") or {}}


@kind("aws:cloudwatch/eventTarget:EventTarget", "EventBridge Target")
class EventTarget(Base):
    named_by = "targetId"
    replaces = frozenset({"rule", "targetId", "eventBusName"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        self._put(aws, inputs)
        return f"{inputs['rule']}-{inputs['targetId']}", {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        found = or_none(lambda: aws("events").list_targets_by_rule(Rule=state["rule"]))
        known = [target["Id"] for target in (found or {}).get("Targets", [])]
        return {} if state["targetId"] in known else None

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        self._put(aws, change.new)
        return {}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        which = {"Rule": state["rule"], "Ids": [state["targetId"]]}
        or_none(lambda: aws("events").remove_targets(**which))

    def _put(self, aws: Account, inputs: Values) -> None:
        target = picked(inputs, targetId="Id", arn="Arn")
        aws("events").put_targets(Rule=inputs["rule"], Targets=[target])


@kind("aws:cloudwatch/logGroup:LogGroup", "CloudWatch Logs Log Group")
class LogGroup(Base):
    named_by = "name"
    replaces = frozenset({"name", "namePrefix"})

    def create(self, aws: Account, inputs: Values) -> tuple[str, Values]:
        name = inputs["name"]
        aws("logs").create_log_group(logGroupName=name, tags=inputs.get("tags") or {})
        self._retain(aws, name, inputs)
        return name, self.read(aws, name, inputs) or {}

    def read(self, aws: Account, id_: str, state: Values) -> Values | None:
        asked = {"logGroupNamePrefix": id_}
        found = first(lambda: aws("logs").describe_log_groups(**asked), "logGroups")
        if found is None or found["logGroupName"] != id_:
            return None
        seen: dict[str, Any] = picked(found, retentionInDays="retentionInDays")
        arn = str(found["arn"]).removesuffix(":*")
        return {**seen, "arn": arn, "tagsAll": state.get("tags") or {}}

    def update(self, aws: Account, id_: str, change: Change) -> Values:
        self._retain(aws, id_, change.new)
        return {"tagsAll": change.new.get("tags") or {}}

    def delete(self, aws: Account, id_: str, state: Values) -> None:
        or_none(lambda: aws("logs").delete_log_group(logGroupName=id_))

    def _retain(self, aws: Account, name: str, inputs: Values) -> None:
        if days := inputs.get("retentionInDays"):
            aws("logs").put_retention_policy(logGroupName=name, retentionInDays=days)
