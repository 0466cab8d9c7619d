"""The policy documents as golden text, so that a review reads who may do what."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from stacks.components.aws.documents import resources, roles
from stacks.components.aws.documents.common import Place
from stacks.components.aws.identity import control_trust
from stacks.inputs import TAG_INSTALLATION, parse_stack_name
from tests.stacks.unit import recorder

GOLDEN = Path(__file__).parent / "golden"
PLACE = Place(parse_stack_name("prod-aws-eu-west-1-base"), "123456789012", "acme")
BUCKETS = [PLACE.bucket(part) for part in ("artifacts", "logs")]

DOCUMENTS: dict[str, Callable[[], str]] = {
    "worker": lambda: roles.worker(PLACE, log_group="", may_cache=False),
    "worker-with-all": lambda: roles.worker(PLACE, log_group="/talkoot/workers", may_cache=True),
    "control": lambda: roles.control(PLACE, buckets=BUCKETS),
    "control-secrets": lambda: roles.control_secrets(
        PLACE, queue_secret="talkoot-queue", database="talkoot-database"
    ),
    "control-trust": lambda: control_trust(["arn:aws:iam::210987654321:role/elsewhere"]),
    "pulumi": lambda: roles.pulumi(PLACE, state_bucket="acme-states"),
    "disk-key": lambda: resources.disk_key(PLACE),
    "data-key": lambda: resources.data_key(PLACE),
    "bucket": lambda: resources.bucket(BUCKETS[0]),
    "access-logs": lambda: resources.bucket("a", resources.access_logs(PLACE, "a")),
    "reclaim-queue": lambda: resources.reclaim_queue(PLACE, "talkoot-acme-reclaims", ["rule"]),
    "flow-logs": lambda: resources.flow_logs(PLACE, "/talkoot/flow"),
    "images-kept": lambda: resources.images_kept(14, 100),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_its_golden_text(name: str) -> None:
    golden = (GOLDEN / f"{name}.json").read_text("utf-8")
    assert recorder.text(json.loads(DOCUMENTS[name]())) == golden


def test_a_worker_may_pull_images_and_nothing_else() -> None:
    statements = json.loads(DOCUMENTS["worker"]())["Statement"]
    actions = {action for statement in statements for action in statement["Action"]}
    assert {action.partition(":")[0] for action in actions} == {"ecr"}


def test_the_control_service_itself_touches_no_machine() -> None:
    assert not re.search(r'"(ec2|autoscaling|iam):', DOCUMENTS["control"]())


def test_whatever_changes_machines_or_groups_asks_for_our_tag() -> None:
    for statement in json.loads(DOCUMENTS["pulumi"]())["Statement"]:
        changes = [
            action
            for action in statement["Action"]
            if action.startswith(("ec2:", "autoscaling:")) and ":Describe" not in action
        ]
        if not changes or statement["Sid"] in ("LaunchImages", "TagAtCreation"):
            continue
        keys = statement["Condition"]["StringEquals"]
        assert {key.partition("/")[2] for key in keys} == {TAG_INSTALLATION}, statement["Sid"]


def test_no_document_uses_a_condition_that_holds_where_the_tag_is_absent() -> None:
    assert not [name for name, write in DOCUMENTS.items() if "ForAllValues" in write()]


def test_long_names_are_cut_and_stay_different() -> None:
    place = Place(PLACE.stack, PLACE.account, "i" * 32)
    names = {place.bucket(part) for part in ("artifacts", "code", "logs", "releases")}
    assert len(names) == 4
    assert all(len(name) <= 63 for name in names)
