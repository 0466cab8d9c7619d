"""Policy checks of real previews: what a person's config or program breaks is refused by name."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.stacks.engine.project import ROOT, Project

OPEN = "open-aws-eu-west-1-inference"
LOOSE = "prod-aws-eu-west-1-wg-loose"


def test_config_that_opens_a_cluster_and_unprotects_it_is_refused(checkout: Project) -> None:
    checkout.add(OPEN, publicApi=True, deletable=True)
    complaints = checkout.preview(OPEN).broken_rules()
    assert "eks/cluster:Cluster cluster: its API is open to the world" in complaints
    assert "set talkoot:publicApiCidrs" in complaints
    assert "eks/cluster:Cluster cluster: holds data and is not protected" in complaints
    checkout.forget(OPEN)


BROKEN = {
    'associate_public_ip_address="false"': 'associate_public_ip_address="true"',
    'encrypted="true"': 'encrypted="false"',
    "http_put_response_hop_limit=1": "http_put_response_hop_limit=2",
}


@pytest.fixture
def careless(checkout: Project, tmp_path: Path) -> Project:
    """The same project with a program that somebody changed."""
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    (tmp_path / ".venv").symlink_to(checkout.folder / ".venv")
    file = tmp_path / "stacks/components/aws/machines.py"
    program = file.read_text()
    for ours, theirs in BROKEN.items():
        assert ours in program
        program = program.replace(ours, theirs)
    file.write_text(program)
    return replace(checkout, folder=tmp_path)


def test_a_program_that_forgets_safety_is_refused(careless: Project) -> None:
    careless.add(LOOSE, group="loose")
    complaints = careless.preview(LOOSE).broken_rules()
    template = "ec2/launchTemplate:LaunchTemplate template: its "
    assert f"{template}interface must refuse a public address" in complaints
    assert f"{template}disk /dev/xvda is not encrypted" in complaints
    assert f"{template}metadata service must ask for tokens" in complaints
    careless.forget(LOOSE)
