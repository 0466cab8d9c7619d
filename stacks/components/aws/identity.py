"""The three roles of an installation in a region: worker, control, pulumi."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import iam

from stacks.components.aws.documents import roles
from stacks.components.aws.documents.common import Place, document, role_name, trust
from stacks.components.aws.parts import Component


@dataclass(frozen=True, slots=True)
class Rights:
    """What roles are given beside what they always have."""

    buckets: Sequence[str]
    log_group: str = ""
    may_cache: bool = False
    control_principals: Sequence[str] = ()
    state_bucket: str = ""


class Identity(Component):
    """Roles and the profiles by which machines carry them; the text of each is in `documents`."""

    def __init__(
        self,
        place: Place,
        rights: Rights,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("Identity", place, opts)
        self.worker = self._role("worker", "Talkoot's workers", trust("ec2.amazonaws.com"))
        self._may(
            self.worker,
            "worker",
            roles.worker(place, log_group=rights.log_group, may_cache=rights.may_cache),
        )
        self.worker_profile = self._profile("worker", self.worker)

        self.control = self._role(
            "control", "Talkoot's control service", control_trust(rights.control_principals)
        )
        self._may(
            self.control,
            "control",
            roles.control(place, buckets=rights.buckets),
        )
        self.control_profile = self._profile("control", self.control)

        self.pulumi = self._role(
            "pulumi",
            "Resizes Talkoot's worker groups",
            document(trusting([place.role("control")])),
            after=[self.control],  # IAM refuses a principal that is not there yet
        )
        self._may(self.pulumi, "pulumi", roles.pulumi(place, state_bucket=rights.state_bucket))
        self.register_outputs({})

    def _role(
        self, part: str, words: str, trusted: str, after: Sequence[pulumi.Resource] = ()
    ) -> iam.Role:
        return iam.Role(
            part,
            name=role_name(self.place.stack, part),
            description=words,
            assume_role_policy=trusted,
            max_session_duration=3600,
            opts=self.child(depends_on=list(after)),
        )

    def _may(self, role: iam.Role, part: str, policy: str) -> None:
        iam.RolePolicy(part, role=role.id, policy=policy, opts=self.child())

    def _profile(self, part: str, role: iam.Role) -> iam.InstanceProfile:
        return iam.InstanceProfile(
            part,
            name=role_name(self.place.stack, part),
            role=role.name,
            opts=self.child(),
        )


def control_trust(principals: Sequence[str]) -> str:
    """Let our control hosts be the control service, and the principals that a person named."""
    statements = [json.loads(trust("ec2.amazonaws.com"))["Statement"][0]]
    if principals:
        statements.append(trusting(principals))
    return document(*statements)


def trusting(principals: Sequence[str]) -> dict[str, object]:
    """Let the principals, by ARN, take a role on."""
    return {
        "Effect": "Allow",
        "Principal": {"AWS": list(principals)},
        "Action": "sts:AssumeRole",
    }
