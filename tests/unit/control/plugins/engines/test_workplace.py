"""The work directory of a run: Git's config and the service's own keys, made anew each time."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from control.domain.cloud_ports import StackOperation
from control.domain.errors import PermanentError
from control.plugins.engines import workplace

STACK = "prod-aws-eu-west-1-wg-gpu"
PROJECT = "name: talkoot\nmain: stacks/\nruntime:\n  name: python\n  options: {virtualenv: .venv}\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "stacks").mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text(PROJECT)
    return folder


def up(size: int) -> StackOperation:
    known = {"image": "ami-known", "aws:region": "eu-west-1"}
    return StackOperation(STACK, "up", {"size": str(size)}, "", 60, unless_in_git=known)


def config(place: Path) -> dict[str, str]:
    return yaml.safe_load((place / f"Pulumi.{STACK}.yaml").read_text())["config"]


def test_gits_file_and_the_size_make_the_config(tmp_path: Path, checkout: Path) -> None:
    text = "secretsprovider: awskms://key\nconfig:\n  talkoot:image: ami-git\n"
    (checkout / f"Pulumi.{STACK}.yaml").write_text(text)
    place = tmp_path / "place"
    assert workplace.make(place, checkout, up(3)) == "awskms://key"
    assert config(place) == {"talkoot:image": "ami-git", "talkoot:size": "3"}
    workplace.make(place, checkout, up(5))
    assert config(place)["talkoot:size"] == "5"
    assert (checkout / f"Pulumi.{STACK}.yaml").read_text() == text, "Git's copy stays as it is"


def test_without_a_file_in_git_the_groups_own_config_is_used(
    tmp_path: Path, checkout: Path
) -> None:
    workplace.make(tmp_path / "place", checkout, up(1))
    assert config(tmp_path / "place") == {
        "talkoot:image": "ami-known",
        "aws:region": "eu-west-1",
        "talkoot:size": "1",
    }


def test_the_program_runs_with_our_own_interpreter(tmp_path: Path, checkout: Path) -> None:
    workplace.make(tmp_path / "place", checkout, up(1))
    project = yaml.safe_load((tmp_path / "place" / "Pulumi.yaml").read_text())
    assert project["runtime"] == "python"
    assert (tmp_path / "place" / "stacks").resolve() == (checkout / "stacks").resolve()


def test_a_size_in_git_is_refused(tmp_path: Path, checkout: Path) -> None:
    (checkout / f"Pulumi.{STACK}.yaml").write_text("config:\n  talkoot:size: '3'\n")
    with pytest.raises(PermanentError, match="take it out"):
        workplace.make(tmp_path / "place", checkout, up(1))


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("Pulumi.yaml", "name: other\n", "name: talkoot"),
        ("Pulumi.yaml", "[", "not valid YAML"),
        (f"Pulumi.{STACK}.yaml", "- a\n", "must be a mapping"),
    ],
)
def test_a_repository_that_is_not_ours_is_refused(
    tmp_path: Path, checkout: Path, file: str, text: str, words: str
) -> None:
    (checkout / file).write_text(text)
    with pytest.raises(PermanentError, match=words):
        workplace.make(tmp_path / "place", checkout, up(1))
