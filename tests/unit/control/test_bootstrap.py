"""What bootstrap wires of clouds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from control import bootstrap
from control.domain.errors import PermanentError
from control.plugins.clouds.aws import AwsCloud
from control.settings import SettingsError, read_settings


def test_a_cloud_is_made_by_its_name_and_once(tmp_path: Path) -> None:
    settings = read_settings(
        {"TALKOOT_INSTALLATION": "here", "QUEUE_URL": "memory:"}, data_dir=tmp_path
    )
    wiring = bootstrap.build(settings)
    try:
        assert isinstance(wiring.world.clouds("aws"), AwsCloud)
        assert wiring.world.clouds("aws") is wiring.world.clouds("aws")
        with pytest.raises(SettingsError, match="No plug-in 'moon'"):
            wiring.world.clouds("moon")
    finally:
        wiring.close()


def test_without_a_name_of_the_installation_no_cloud_is_asked(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="TALKOOT_INSTALLATION"):
        bootstrap.make_cloud(read_settings({}, data_dir=tmp_path), "aws")


@pytest.mark.parametrize("name", ["Upper", "a b", "-a", "a" * 33])
def test_a_name_that_is_no_tag_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="TALKOOT_INSTALLATION"):
        read_settings({"TALKOOT_INSTALLATION": name}, data_dir=tmp_path)


def test_a_process_that_uses_no_cloud_loads_no_library_of_one() -> None:
    code = "import sys, control.bootstrap; print('boto3' in sys.modules, 'pulumi' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]
