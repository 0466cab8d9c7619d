from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.phases.script import build_script


def run(commands: list[str], folder: Path, *, stops: bool = True) -> tuple[int, str, str]:
    script = build_script(commands, marker=str(folder / "item"), stop_at_first_error=stops)
    path = folder / "script"
    path.write_text(script.text)
    path.chmod(0o755)
    ran = subprocess.run(script.argv(str(path)), capture_output=True, text=True, check=False)
    marker = folder / "item"
    return ran.returncode, ran.stdout, marker.read_text().strip() if marker.exists() else ""


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        pytest.param(["export A=1", "echo $A"], (0, "1\n", "2"), id="items-share-variables"),
        pytest.param(["cd /", "pwd"], (0, "/\n", "2"), id="items-share-the-directory"),
        pytest.param(["echo a", "false", "echo b"], (1, "a\n", "2"), id="a-failure-ends-it"),
        pytest.param(["false\necho b"], (1, "", "1"), id="also-inside-an-item"),
        pytest.param(["true", "exit 4"], (4, "", "2"), id="exit-is-an-end-with-its-item"),
        pytest.param(["echo a \\", "echo b"], (0, "a\nb\n", "2"), id="an-open-line-is-closed"),
        pytest.param(["cat <<X\nin\nX", "echo b"], (0, "in\nb\n", "2"), id="here-documents"),
        pytest.param(["echo a # c", "echo b"], (0, "a\nb\n", "2"), id="comments"),
        pytest.param(["if false; then :; fi", "echo b"], (0, "b\n", "2"), id="conditions-are-fine"),
        pytest.param([""], (0, "", "1"), id="an-empty-item"),
    ],
)
def test_one_shell_runs_all_items(
    tmp_path: Path, commands: list[str], expected: tuple[int, str, str]
) -> None:
    assert run(commands, tmp_path) == expected


def test_the_last_item_decides_when_asked_to(tmp_path: Path) -> None:
    assert run(["false", "echo b"], tmp_path, stops=False) == (0, "b\n", "2")
    assert run(["true", "false"], tmp_path, stops=False)[0] == 1


@pytest.mark.parametrize("line", ["#!/bin/bash", "#!/usr/bin/env bash"])
def test_a_shell_in_the_first_line_stays_the_interpreter(tmp_path: Path, line: str) -> None:
    code, out, item = run([f"{line}\nA=(1 2); echo ${{#A[@]}}", "false"], tmp_path)
    assert (code, out, item) == (1, "2\n", "2")


def test_a_shell_that_is_missing_is_replaced(tmp_path: Path) -> None:
    assert run(["#!/no/such/zsh", "echo a"], tmp_path) == (0, "a\n", "2")


def test_another_program_in_the_first_line_takes_all(tmp_path: Path) -> None:
    code, out, _ = run(["#!/usr/bin/env python3\nx = 4", "print(x)"], tmp_path)
    assert (code, out) == (0, "4\n")


def test_a_marker_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    script = build_script(["echo a"], marker="/no/such/folder/item", stop_at_first_error=True)
    ran = subprocess.run(
        ["/bin/sh", "-c", script.text], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "a\n", "")
