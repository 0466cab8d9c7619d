"""The worker group's program under mocks: what it asks of AWS, with and without a size."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pulumi
import pytest

from stacks.inputs import group_outputs
from stacks.outputs import needed
from tests.stacks.unit import recorder

STACK = "prod-aws-eu-west-1-wg-gpu"
BASE = "prod-aws-eu-west-1-base"
CONFIG: dict[str, Any] = {
    "group": "gpu",
    "baseStack": BASE,
    "instanceType": "g5.xlarge",
    "image": "ami-0123456789abcdef0",
    "min": 1,
    "max": 5,
    "controlUrl": "https://talkoot.example.org",
    "releasePublicKey": "MCowBQYDK2VwAyEA" + "A" * 44,
    "owner": "ada",
}
BASE_OUTPUTS: dict[str, Any] = {
    "installation": "acme",
    "workerSubnetIds": ["subnet-a", "subnet-b"],
    "workerSecurityGroupId": "sg-workers",
    "workerInstanceProfile": "talkoot-prod-eu-west-1-worker",
    "diskKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/disk",
}
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
GROUP = "aws:autoscaling/group:Group"


def run(preview: bool = False, base: dict[str, Any] | None = None, **more: Any) -> recorder.Run:
    outputs = BASE_OUTPUTS if base is None else base
    return recorder.run(STACK, CONFIG | more, stacks={BASE: outputs}, preview=preview)


def test_a_group_is_a_template_and_a_group_and_nothing_else() -> None:
    assert [r.type for r in run().resources if not r.type.startswith("pulumi:")] == [
        TEMPLATE,
        GROUP,
    ]


def test_without_a_size_the_capacity_is_the_minimum_once_and_then_left_alone() -> None:
    group = run().only(GROUP)
    assert group.properties["desiredCapacity"] == 1
    assert group.ignore_changes == ("desiredCapacity",)


def test_with_a_size_the_capacity_is_the_size() -> None:
    group = run(size=3).only(GROUP)
    assert group.properties["desiredCapacity"] == 3
    assert group.properties["maxSize"] == 5
    assert group.ignore_changes == ()


def test_a_size_above_the_maximum_lifts_the_maximum_and_warns() -> None:
    made = run(size=8)
    assert made.only(GROUP).properties["maxSize"] == 8
    assert made.only(GROUP).properties["desiredCapacity"] == 8
    assert "above the maximum of 5" in made.outputs["warning"]
    assert made.warnings == [made.outputs["warning"]]


def test_the_cloud_never_ends_a_machine_for_reasons_of_its_own() -> None:
    group = run().only(GROUP).properties
    assert group["suspendedProcesses"] == ["AZRebalance", "ReplaceUnhealthy"]
    assert group["protectFromScaleIn"] is True
    assert group["capacityRebalance"] is False
    assert group["minSize"] == 0
    assert group["waitForCapacityTimeout"] == "0"


def test_a_machine_is_private_encrypted_hardened_and_ends_when_it_shuts_down() -> None:
    template = run().only(TEMPLATE).properties
    assert template["networkInterfaces"] == [
        {
            "deviceIndex": 0,
            "associatePublicIpAddress": "false",
            "deleteOnTermination": "true",
            "securityGroups": ["sg-workers"],
        }
    ]
    assert template["metadataOptions"]["httpTokens"] == "required"
    assert template["metadataOptions"]["httpPutResponseHopLimit"] == 1
    assert template["instanceInitiatedShutdownBehavior"] == "terminate"
    (disk,) = template["blockDeviceMappings"]
    assert disk["ebs"]["encrypted"] == "true"
    assert disk["ebs"]["volumeType"] == "gp3"
    assert disk["ebs"]["kmsKeyId"] == BASE_OUTPUTS["diskKeyArn"]
    assert template["iamInstanceProfile"] == {"name": "talkoot-prod-eu-west-1-worker"}


def test_machines_disks_and_group_carry_every_tag() -> None:
    made = run()
    tags = {
        "talkoot:installation": "acme",
        "talkoot:environment": "prod",
        "talkoot:stack": STACK,
        "talkoot:managed-by": "pulumi",
        "talkoot:group": "gpu",
        "talkoot:owner": "ada",
    }
    specifications = made.only(TEMPLATE).properties["tagSpecifications"]
    assert {s["resourceType"] for s in specifications} >= {"instance", "volume"}
    assert all(s["tags"] == tags for s in specifications)
    of_group = made.only(GROUP).properties["tags"]
    assert {tag["key"]: tag["value"] for tag in of_group} == tags
    assert all(tag["propagateAtLaunch"] for tag in of_group)
    provider = made.only("pulumi:providers:aws").properties
    assert tags.items() <= _parsed(provider["defaultTags"])["tags"].items()


def test_an_on_demand_group_takes_the_template_as_it_is() -> None:
    group = run().only(GROUP).properties
    assert group["launchTemplate"] == {"id": "template-id", "version": "1"}
    assert "mixedInstancesPolicy" not in group


def test_a_spot_group_asks_for_spot_only_up_to_its_price() -> None:
    group = run(market="spot", maxPriceUsd="0.40").only(GROUP).properties
    policy = group["mixedInstancesPolicy"]
    assert policy["instancesDistribution"] == {
        "onDemandBaseCapacity": 0,
        "onDemandPercentageAboveBaseCapacity": 0,
        "spotAllocationStrategy": "price-capacity-optimized",
        "spotMaxPrice": "0.4",
    }
    assert policy["launchTemplate"]["overrides"] == [{"instanceType": "g5.xlarge"}]
    assert "launchTemplate" not in group


def test_the_user_data_names_the_group_and_no_secret_is_registered() -> None:
    template = run().only(TEMPLATE).properties
    text = base64.b64decode(template["userData"]).decode()
    assert "GROUP=gpu" in text


def test_its_outputs_read_back_as_a_groups() -> None:
    outputs = group_outputs(run(size=2).outputs)
    assert outputs.resource == "talkoot-prod-eu-west-1-wg-gpu"
    assert (outputs.size, outputs.min, outputs.max) == (2, 1, 5)


def test_the_size_among_the_outputs_is_the_recorded_one_so_that_a_persons_preview_is_clean() -> (
    None
):
    assert run(size=3).outputs["size"] == 3
    assert run().outputs["size"] == 1  # what a run without a size has recorded: the minimum


@pytest.mark.parametrize("size", [{}, {"size": 2}])
def test_a_preview_of_a_new_group_needs_no_value_of_the_cloud(size: dict[str, Any]) -> None:
    made = run(preview=True, **size)
    assert made.only(GROUP).properties["maxSize"] == 5


def test_a_base_stack_that_was_never_made_is_a_sentence() -> None:
    with pytest.raises(pulumi.RunError, match="prod-aws-eu-west-1-base has no output installation"):
        needed({}, "installation", BASE)


def test_wrong_config_registers_nothing() -> None:
    with pytest.raises(pulumi.RunError, match="talkoot:instanceType"):
        run(instanceType="huge")


def test_the_program_imports_one_cloud_and_only_the_modules_it_needs() -> None:
    code = (
        "import sys\n"
        "from tests.stacks.unit import test_group\n"
        "test_group.run()\n"
        "used = {m.split('.')[1] for m, loaded in sys.modules.items()\n"
        "        if m.startswith('pulumi_aws.') and type(loaded).__name__ != '_LazyModule'\n"
        "        and hasattr(loaded, '__path__')}\n"
        "print(*sorted(m for m in used if not m.startswith('_')))\n"
        "print(*sorted(m for m in sys.modules if m in ('control', 'boto3', 'sqlalchemy')))\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    modules, strangers = done.stdout.splitlines()
    assert set(modules.split()) <= {"autoscaling", "config", "ec2", "iam", "provider"}
    assert strangers == ""


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
