"""`talkoot group` and `talkoot plan` from outside."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.service.control.cli.test_commands import says_one_sentence, talkoot

BASE = ("--base", "prod-aws-eu-west-1-base", "--type", "g5.xlarge", "--image", "ami-1")


@pytest.fixture
def data(tmp_path: Path) -> tuple[str, str]:
    """An installation that is migrated."""
    talkoot("migrate", "--data", str(tmp_path / "data"))
    return "--data", str(tmp_path / "data")


def test_a_group_goes_from_a_config_for_review_to_a_plan(
    data: tuple[str, str], tmp_path: Path
) -> None:
    markets = ("--market", "spot", "--market", "on-demand")
    shown = talkoot("group", "add", "gpu", *BASE, *markets, "--write", "-", *data)
    assert shown.returncode == 0, shown.stderr
    assert "Pulumi.prod-aws-eu-west-1-wg-gpu-spot.yaml" in shown.stdout
    listed = talkoot("group", "list", *data)
    assert listed.stdout == "", "nothing was registered"
    assert "talkoot group add" in listed.stderr
    file = tmp_path / "gpu.yaml"
    added = talkoot("group", "add", "gpu", *BASE, "--write", str(file), "--apply", *data)
    assert added.returncode == 0, added.stderr
    assert yaml.safe_load(file.read_text())["config"]["talkoot:max"] == "5"
    assert "wg-gpu" in talkoot("group", "show", "gpu", *data).stdout
    changed = talkoot("group", "set", "gpu", "--max", "8", "--min", "1", "--write", "-", *data)
    assert 'talkoot:max: "8"' in changed.stdout
    planned = talkoot("plan", "gpu", *data)
    assert planned.returncode == 0, planned.stderr
    assert "because" in planned.stdout
    assert "0 of 1 to 8, 0 wanted" in talkoot("group", "list", *data).stdout, "it changed nothing"
    assert talkoot("group", "disable", "gpu", *data).returncode == 0
    assert "switched off" in talkoot("group", "list", *data).stdout
    assert talkoot("group", "enable", "gpu", *data).returncode == 0
    says_one_sentence(talkoot("plan", "moon", *data), "moon")
    says_one_sentence(talkoot("group", "add", "gpu", *BASE, "--apply", *data), "already")


@pytest.mark.parametrize(
    "arguments",
    [
        ("group", "add", "gpu", *BASE),
        ("group", "add", "gpu", "--apply"),
        ("group", "add", "GPU", *BASE, "--max", "-1", "--apply"),
        ("group", "set", "gpu"),
        ("group", "set", "gpu", "--max", "-1"),
        ("group", "moon"),
        ("plan",),
    ],
)
def test_wrong_use_has_exit_status_2_and_says_what_is_wrong(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = talkoot(*arguments, *(() if arguments[-1] == "moon" else ("--data", str(tmp_path))))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    if "GPU" in arguments:
        assert "name:" in done.stderr
        assert "maximum:" in done.stderr


def test_a_config_is_pushed_as_a_branch_and_nobodys_tree_is_touched(
    data: tuple[str, str], tmp_path: Path
) -> None:
    repository = tmp_path / "infra"
    git = ("git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@localhost")
    subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Begin"], check=True)
    command = ("group", "add", "gpu", *BASE, "--branch", "add-gpu", *data)
    says_one_sentence(talkoot(*command), "TALKOOT_INFRA_REPO")
    done = talkoot(*command, TALKOOT_INFRA_REPO=str(repository))
    assert done.returncode == 0, done.stderr
    name = "Pulumi.prod-aws-eu-west-1-wg-gpu.yaml"
    text = subprocess.run([*git, "show", f"add-gpu:{name}"], capture_output=True, check=True)
    assert b"instanceType" in text.stdout
    assert not (repository / name).exists()
    again = talkoot(*command, TALKOOT_INFRA_REPO=str(repository))
    assert again.returncode == 1
    says_one_sentence(again, "branch", "git push")
