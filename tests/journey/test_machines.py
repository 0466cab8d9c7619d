"""Machines of a cloud: a release is published, machines boot from user data, join and work.

Everything is real but the cloud: the release, its signature and download, the rendered user data,
the scripts, the agents, the control service. Only the process of reconciling runs in the test.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from control.cli import release_build
from control.database.rows import AnyRow
from control.domain.worker_groups import NewGroup
from control.services import reconciling, worker_groups
from control.services.machines import Place
from control.services.world import World as TalkootWorld
from stacks.inputs import TAG_GROUP, TAG_INSTALLATION
from stacks.userdata.cloud_init import UserData, render
from tests.engines.aws.machines import Machines, machines
from tests.engines.aws.world import World
from tests.engines.processes import wait_until
from tests.journey.fixtures import installed
from tests.journey.installation import Installation
from tests.journey.project import make_project, step

IMAGE = "ami-0123456789abcdef0"
PLACE = Place("aws", "eu-west-1")
INSTALLATION = "journey"


@dataclass
class Site:
    """An installation with the worker group `gpu`, whose machines boot."""

    place: Installation
    aws: World
    booted: Machines
    scaling: Any

    def want(self, count: int) -> None:
        self.scaling.set_desired_capacity(AutoScalingGroupName="gpu", DesiredCapacity=count)

    def machine(self, instance_id: str) -> AnyRow:
        with self.place.world() as world:
            view = worker_groups.find(world, None, "gpu")
        return next(one for one in view.machines if one.instance_id == instance_id)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of a release that is built from these sources."""
    return release_build.build(tmp_path_factory.mktemp("release"), "0.1.0", None).manifest


@contextmanager
def reconciled(world: TalkootWorld) -> Iterator[None]:
    """Read the cloud's list again and again, as `talkoot infra` does."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.3):
            reconciling.reconcile(world, PLACE, datetime.now(UTC))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def site(
    aws: World, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    (certificates / "eu-west-1.pem").write_text(aws.identity_certificate())
    environment = {
        "TALKOOT_INSTALLATION": INSTALLATION,
        "TALKOOT_AWS_IDENTITY_CERTIFICATES": str(certificates),
    }
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "talkoot"
    folder.mkdir()
    with ExitStack() as stack:
        place = stack.enter_context(installed(folder, environment))
        place.start()
        place.talkoot("release", "publish", str(release), "--channel", "stable")
        text = render(
            UserData(
                group="gpu",
                cloud="aws",
                control_url=place.url,
                ca_fingerprint="",
                channel="stable",
                agent_version="",
                release_public_key=place.talkoot("release", "key"),
                slots=1,
            )
        )
        scaling = make_group(stack, aws, text)
        world = stack.enter_context(place.world())
        new = NewGroup("gpu", "prod-aws-eu-west-1-base", "m5.large", IMAGE)
        worker_groups.add(world, None, new, datetime.now(UTC))
        stack.enter_context(reconciled(world))
        booted = stack.enter_context(machines(aws, tmp_path / "machines"))
        yield Site(place, aws, booted, scaling)


def make_group(stack: ExitStack, aws: World, user_data: str) -> Any:
    """Make what a group's stack makes, as far as machines need it."""
    ec2, scaling = aws.client("ec2"), aws.client("autoscaling")
    for client in (ec2, scaling):
        stack.callback(client.close)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone="eu-west-1a")[
        "Subnet"
    ]["SubnetId"]
    ec2.create_launch_template(
        LaunchTemplateName="gpu",
        LaunchTemplateData={
            "ImageId": IMAGE,
            "InstanceType": "m5.large",
            "UserData": base64.b64encode(user_data.encode()).decode(),
        },
    )
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="gpu",
        MinSize=0,
        MaxSize=5,
        VPCZoneIdentifier=subnet,
        LaunchTemplate={"LaunchTemplateName": "gpu", "Version": "$Latest"},
        NewInstancesProtectedFromScaleIn=True,
        Tags=[
            {"Key": TAG_GROUP, "Value": "gpu", "PropagateAtLaunch": True},
            {"Key": TAG_INSTALLATION, "Value": INSTALLATION, "PropagateAtLaunch": True},
        ],
    )
    return scaling


def test_machines_boot_from_user_data_join_and_run_an_execution(site: Site) -> None:
    project = make_project(site.place, step("train", "echo on a machine"))
    execution = project.run(environment="gpu")
    site.want(2)
    first, _ = site.booted.wait_for_agents(2)
    ended = execution.wait()
    assert ended["status"] == "complete", execution.story()
    assert execution.lines("stdout") == ["on a machine"]
    wait_until(lambda: site.machine(first).state == "ready", what="the machine's row")
    root = site.booted.by_id[first].root
    assert (root / "opt/talkoot/current").readlink() == Path("releases/0.1.0")
    assert "-I DOCKER-USER -d 169.254.169.254/32" in (root / "iptables").read_text()
    secret = (root / "var/lib/talkoot/identity.json").stat()
    assert secret.st_mode & 0o077 == 0


def test_a_machine_that_the_cloud_ends_is_gone_with_all_that_ran_on_it(site: Site) -> None:
    site.want(1)
    [name] = site.booted.wait_for_agents(1)
    site.aws.power_off(name)
    wait_until(lambda: site.booted.by_id[name].is_off, what="the loss of power")


def test_a_release_that_was_tampered_with_is_not_installed_and_the_machine_ends(
    site: Site,
) -> None:
    [file] = (site.place.data / "store" / "releases").rglob("*.tar.gz")
    file.write_bytes(file.read_bytes() + b"x")
    site.booted.watchdog_s = 6
    site.want(1)
    wait_until(lambda: len(site.booted.by_id) > 0, what="a machine")
    [name] = list(site.booted.by_id)[:1]
    wait_until(lambda: name in site.booted.ended, what="the watchdog's end", limit_s=60)
    said = site.booted.console(name)
    assert "has another checksum than its manifest: it is not installed" in said
    assert "no agent for 6 s, powering off" in said
    assert not (site.booted.by_id[name].root / "opt/talkoot/current").exists()


def test_a_broken_image_never_joins_and_says_why_on_its_console(site: Site) -> None:
    site.aws.fault("no-boot")
    site.want(1)
    wait_until(lambda: len(site.booted.by_id) > 0, what="a machine")
    [name] = list(site.booted.by_id)[:1]
    with site.place.world() as world:
        cloud = world.clouds("aws")

        def shown() -> bool:
            return "Kernel panic" in cloud.console_output("eu-west-1", name)

        wait_until(shown, what="the console in the cloud", every_s=0.2)
    assert not (site.booted.by_id[name].state / "identity.json").exists()
