"""The Pulumi engine is the real one: it runs a Python program and keeps its state."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.engines import apt
from tests.engines.pulumi import build
from tests.engines.pulumi.engine import PulumiEngine

_PROJECT = "name: small\nruntime: python\n"
_PROGRAM = 'import pulumi\npulumi.export("answer", pulumi.Config().require_int("question") * 2)\n'


def _pulumi(
    engine: PulumiEngine, folder: Path, environment: Mapping[str, str], *arguments: str
) -> str:
    done = subprocess.run(
        [engine.program, "--non-interactive", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_the_version_of_the_python_package(pulumi_engine: PulumiEngine) -> None:
    assert pulumi_engine.version() == version("pulumi")
    assert build.pinned_version(build.PARTS[0]) == f"v{version('pulumi')}"


def test_it_runs_a_program_and_keeps_its_state(pulumi_engine: PulumiEngine, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(_PROJECT)
    (tmp_path / "__main__.py").write_text(_PROGRAM)
    environment = pulumi_engine.environment(tmp_path / "installation")
    for command in (["stack", "init", "one"], ["config", "set", "question", "21"]):
        _pulumi(pulumi_engine, tmp_path, environment, *command)
    _pulumi(pulumi_engine, tmp_path, environment, "up", "--yes", "--skip-preview")
    outputs = _pulumi(pulumi_engine, tmp_path, environment, "stack", "output", "--json")
    assert json.loads(outputs) == {"answer": 42}
    assert list((tmp_path / "installation/state").rglob("one.json"))


def test_a_go_that_is_missing_or_old_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go1.19.8\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(build, "_install_go", lambda folder: apt.give_up(f"no Go: {folder}"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no Go"):
        build.built()
