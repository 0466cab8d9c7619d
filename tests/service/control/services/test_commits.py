"""Commits as a project's settings and repository change under them."""

from __future__ import annotations

from typing import Any

import pytest

from control.domain.errors import Invalid
from control.services import commits, projects, repositories
from control.services.repositories import RepositoryChange
from tests.factories import NOW, Scene

URL = "https://git.example.org/many.git"


def config(step: str) -> bytes:
    """Write a configuration with one step."""
    return f"- step:\n    name: {step}\n    image: i\n    command: c\n".encode()


def fetch(scene: Scene, files: dict[str, bytes]) -> str:
    """Commit, link and fetch; answer the commit."""
    git: Any = scene.world.git
    identifier = git.commit(URL, files, ref="trunk")
    change = RepositoryChange(url=URL, ref="trunk")
    repositories.set_repository(scene.world, scene.caller, scene.project_id, change, NOW)
    repositories.fetch(scene.world, scene.caller, scene.project_id, NOW)
    return identifier


def test_another_path_of_the_configuration_holds_for_commits_that_were_fetched(
    scene: Scene,
) -> None:
    files = {"valohai.yaml": config("old"), "ml/valohai.yaml": config("new")}
    commit = fetch(scene, files)
    for _ in range(2):  # the second time everything is kept in memory
        assert scene.submit(commit=commit, step="old").row.step == "old"
    change = {"yaml_path": "ml/valohai.yaml"}
    projects.update(scene.world, scene.caller, scene.project_id, change, NOW)
    assert scene.submit(commit=commit, step="new").row.step == "new"
    with pytest.raises(Invalid, match="No step 'old'"):
        scene.submit(commit=commit, step="old")


def test_a_branch_means_its_newest_fetched_commit(scene: Scene) -> None:
    first = fetch(scene, {"valohai.yaml": config("one")})
    assert scene.submit(commit="trunk", step="one").commit.identifier == first
    second = fetch(scene, {"valohai.yaml": config("two")})
    assert scene.submit(commit="trunk", step="two").commit.identifier == second
    for lookup, identifier in (("trunk", second), (first[:6], first), (second, second)):
        assert commits.find(scene.world, scene.caller, lookup).identifier == identifier
    query = commits.CommitQuery(scene.project_id, ordering="commit_time", limit=2, offset=1)
    listed, count = commits.list_page(scene.world, scene.caller, query)
    assert (len(listed), count) == (2, 3)


def test_a_commit_is_archived_once(scene: Scene) -> None:
    commit = fetch(scene, {"valohai.yaml": config("one"), "train.py": b"print()"})
    row = commits.find(scene.world, scene.caller, commit)
    first = commits.ensure_archive(scene.world, row)
    again = commits.find(scene.world, scene.caller, commit)
    assert commits.ensure_archive(scene.world, again) == first
    assert (again.archive_key, again.archive_sha256) == first[:2]
