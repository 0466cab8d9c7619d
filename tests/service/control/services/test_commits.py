"""Commits as a project's settings and repository change under them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, select

from control.database.tables.projects import projects as project_rows
from control.domain.errors import Invalid
from control.domain.ports import FetchedCommit
from control.services import commits, projects, repositories
from control.services.commits import NewCommit
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


def test_a_commit_that_two_fetch_at_once_is_new_to_one_of_them(scene: Scene) -> None:
    found = FetchedCommit("a" * 40, "trunk", "2030-01-02T03:04:05+00:00", "Start")

    def store() -> list[tuple[str, str]]:
        def work(connection: Connection) -> list[tuple[str, str]]:
            project = connection.execute(
                select(project_rows).where(project_rows.c.id == scene.project_id)
            ).one()
            return commits.store_new(connection, project, [NewCommit(found)], [found], NOW)

        return scene.world.database.write(work)

    assert store() == [("trunk", "a" * 40)]
    assert store() == []


def test_a_commit_is_archived_once(scene: Scene) -> None:
    commit = fetch(scene, {"valohai.yaml": config("one"), "train.py": b"print()"})
    row = commits.find(scene.world, scene.caller, commit)
    first = commits.ensure_archive(scene.world, row)
    again = commits.find(scene.world, scene.caller, commit)
    assert commits.ensure_archive(scene.world, again) == first
    assert (again.archive_key, again.archive_sha256) == first[:2]
