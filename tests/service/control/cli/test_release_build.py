from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from control.cli import release_build
from control.domain.errors import PermanentError


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> release_build.Built:
    return release_build.build(tmp_path_factory.mktemp("one"), "9.9.1", None)


def test_the_same_sources_give_the_same_bytes(built: release_build.Built, tmp_path: Path) -> None:
    again = release_build.build(tmp_path, "9.9.1", None)
    assert again.file.read_bytes() == built.file.read_bytes()
    assert again.manifest.read_bytes() == built.manifest.read_bytes()


def test_the_manifest_describes_the_file_and_all_in_it(built: release_build.Built) -> None:
    manifest = json.loads(built.manifest.read_text())
    body = built.file.read_bytes()
    assert manifest["sha256"] == hashlib.sha256(body).hexdigest()
    assert manifest["size_bytes"] == len(body)
    with tarfile.open(built.file) as tar:
        inside = {
            one.name: hashlib.sha256(tar.extractfile(one).read()).hexdigest()
            for one in tar.getmembers()
        }
    assert inside == {name: facts["sha256"] for name, facts in manifest["files"].items()}
    assert set(inside) == {"talkoot-agent", "talkoot-agent.service", "configure", "block-metadata"}


def test_the_program_runs_alone_and_knows_its_version(
    built: release_build.Built, tmp_path: Path
) -> None:
    with tarfile.open(built.file) as tar:
        tar.extractall(tmp_path, filter="data")
    environ = {"PATH": os.environ["PATH"], "SHIV_ROOT": str(tmp_path / "shiv")}
    command = [sys.executable, "-I", str(tmp_path / "talkoot-agent")]
    told = subprocess.run(
        [*command, "--help"], env=environ, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Take executions" in told.stdout
    version = next((tmp_path / "shiv").glob("*/site-packages/agent/VERSION"))
    assert version.read_text() == "9.9.1\n"
    assert not list((tmp_path / "shiv").rglob("*.so"))


def test_what_the_installer_says_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    with pytest.raises(PermanentError, match="cannot be built"):
        release_build.build(tmp_path, "1", tmp_path / "wheels")
