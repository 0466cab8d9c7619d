from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.userdata import cloud_init
from stacks.userdata.cloud_init import UserData, render

GOLDEN = Path(__file__).with_name("aws.cloud-config")
SCRIPTS = Path(cloud_init.__file__).parent

DATA = UserData(
    group="gpu-spot",
    cloud="aws",
    control_url="https://talkoot.example.org/",
    ca_fingerprint="AB:" * 31 + "CD",
    channel="stable",
    agent_version="",
    release_public_key="MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
    slots=2,
)


def written(data: UserData) -> dict[str, dict[str, Any]]:
    """The files by path, as cloud-init would write them."""
    return {one["path"]: one for one in yaml.safe_load(render(data))["write_files"]}


def test_the_user_data_is_to_the_letter_what_was_reviewed() -> None:
    assert render(DATA) == GOLDEN.read_text()


def test_the_same_values_give_the_same_text() -> None:
    assert render(DATA) == render(replace(DATA))


def test_scripts_arrive_as_they_are_written_here() -> None:
    files = written(DATA)
    for path, name in {
        "/usr/local/sbin/talkoot-bootstrap": "bootstrap.sh",
        "/usr/local/sbin/talkoot-boot-watchdog": "boot-watchdog.sh",
        "/etc/systemd/system/talkoot-boot-watchdog.service": "boot-watchdog.service",
    }.items():
        assert files[path]["content"] == (SCRIPTS / name).read_text()
    assert files["/usr/local/sbin/talkoot-bootstrap"]["permissions"] == "0755"


def test_the_watchdog_lives_before_anything_is_fetched() -> None:
    commands = yaml.safe_load(render(DATA))["runcmd"]
    watchdog = next(n for n, one in enumerate(commands) if "talkoot-boot-watchdog.service" in one)
    assert watchdog < commands.index(["/usr/local/sbin/talkoot-bootstrap"])


def test_values_reach_the_shell_unharmed() -> None:
    text = written(DATA)["/etc/talkoot/bootstrap.env"]["content"]
    assert text.splitlines() == [
        "CONTROL_URL=https://talkoot.example.org",
        "CA_FINGERPRINT=" + "ab" * 31 + "cd",
        "CHANNEL=stable",
        "AGENT_VERSION=''",
        "GROUP=gpu-spot",
        "CLOUD=aws",
        "SLOTS=2",
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("group", "a'; reboot; '"),
        ("control_url", "https://talkoot.example.org/$(reboot)"),
        ("control_url", "talkoot.example.org"),
        ("ca_fingerprint", "abcd"),
        ("channel", ""),
        ("agent_version", "../../etc"),
        ("release_public_key", ""),
        ("slots", 0),
    ],
)
def test_a_value_that_cannot_be_right_is_named(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        render(replace(DATA, **{field: value}))


def test_ec2_takes_it() -> None:
    assert len(render(DATA).encode()) < cloud_init.LIMIT_BYTES / 1.5


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="apt-get install shellcheck")
def test_scripts_have_no_fault_that_shellcheck_knows() -> None:
    scripts = [str(path) for path in sorted(SCRIPTS.glob("*.sh"))]
    assert scripts
    seen = subprocess.run(
        ["shellcheck", *scripts], capture_output=True, text=True, check=False, timeout=60
    )
    assert seen.returncode == 0, seen.stdout
