"""What a submission stands in is remembered, and nothing is written that is no longer true."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.sql.dml import UpdateBase

from control.database.tables.executions import executions
from control.database.tables.projects import commits, project_members, projects
from control.domain.errors import Forbidden, Invalid, NotFound
from control.domain.executions import ExecutionRequest
from control.domain.roles import Caller
from control.services import environments, members, people, submissions, surroundings
from tests.factories import NOW, STEPS, Scene, add_commit

STRICT = [{"step": {**STEPS[0]["step"], "parameters": [{"name": "epochs", "type": "integer"}]}}]
FULL = "a" * 40


def change(scene: Scene, statement: UpdateBase) -> None:
    def work(connection: Connection) -> None:
        connection.execute(statement)

    scene.world.database.write(work)


def count(scene: Scene) -> int:
    with scene.world.database.read() as connection:
        return connection.execute(select(func.count()).select_from(executions)).scalar_one()


@pytest.fixture
def colleague(scene: Scene) -> Caller:
    """Somebody who may run things here, and did."""
    person = people.add_user(scene.world, "grace", None, False, NOW)
    members.set_member(scene.world, scene.caller, scene.project_id, "grace", "member", NOW)
    caller = Caller(person.id, "grace")
    scene.submit()  # both are remembered
    submit_as(scene, caller)
    return caller


def submit_as(scene: Scene, caller: Caller, **given: Any) -> None:
    usual: dict[str, Any] = {"project_id": scene.project_id, "commit": "main", "step": "train"}
    submissions.create(scene.world, caller, ExecutionRequest(**(usual | given)), scene.later(0.001))


def remembered(scene: Scene, caller: Caller) -> surroundings.Around | None:
    request = ExecutionRequest(project_id=scene.project_id, commit="main", step="train")
    return surroundings.recall(scene.world, surroundings.key_of(caller, request))


def test_somebody_who_lost_the_role_is_refused_at_once(scene: Scene, colleague: Caller) -> None:
    assert remembered(scene, colleague) is not None
    before = count(scene)
    change(scene, update(project_members).values(role="reader"))
    with pytest.raises(Forbidden):
        submit_as(scene, colleague)
    change(scene, delete(project_members))
    with pytest.raises(NotFound):
        submit_as(scene, colleague)
    assert count(scene) == before


def test_a_refused_request_does_not_hold_up_those_beside_it(
    scene: Scene, colleague: Caller
) -> None:
    before = count(scene)
    change(scene, update(project_members).values(role="reader"))

    def ask(caller: Caller) -> bool:
        try:
            submit_as(scene, caller)
        except Forbidden:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, [scene.caller, colleague] * 20))
    assert answers == [True, False] * 20
    assert count(scene) == before + 20


def test_an_environment_that_was_switched_off_takes_nothing_more(scene: Scene) -> None:
    scene.submit(environment="gpu-small")
    scene.set_environment(is_enabled=False)
    with pytest.raises(Invalid, match="switched off"):
        scene.submit(environment="gpu-small")
    assert count(scene) == 1


def test_a_project_that_is_gone_takes_nothing_more(scene: Scene) -> None:
    scene.submit()
    change(scene, update(projects).values(is_deleted=True))
    with pytest.raises(NotFound):
        scene.submit()


def test_the_default_environment_is_the_one_of_now(scene: Scene) -> None:
    scene.submit()
    other = environments.add(
        scene.world, None, environments.NewEnvironment(slug="gpu-large", lease_s=60), NOW
    )
    change(scene, update(projects).values(default_environment_id=other.id))
    assert scene.submit().row.environment_id == other.id
    assert scene.submit().environment.slug == "gpu-large"


def test_of_one_batch_only_who_knew_the_default_of_before_looks_anew(scene: Scene) -> None:
    scene.submit()
    old = remembered(scene, scene.caller)
    other = environments.add(
        scene.world, None, environments.NewEnvironment(slug="gpu-large", lease_s=60), NOW
    )
    change(scene, update(projects).values(default_environment_id=other.id))
    scene.submit()
    new = remembered(scene, scene.caller)
    assert old is not None
    assert new is not None
    request = ExecutionRequest(project_id=scene.project_id, commit="main", step="train")
    with scene.world.database.read() as connection:
        looks = submissions.Looks(connection)
        assert isinstance(looks.of(scene.caller, request, new), surroundings.Around)
        assert isinstance(looks.of(scene.caller, request, old), surroundings.Outdated)


def test_a_ref_that_moved_is_run_and_checked_as_it_is_now(scene: Scene) -> None:
    old = scene.submit()
    moved = update(commits).where(commits.c.identifier == "main")
    change(scene, moved.values(identifier="old", ref="old"))
    add_commit(scene.world, scene.project_id, "main", STRICT)
    new = scene.submit(parameters={"epochs": 1000})  # the old commit allows 100
    assert new.commit.id != old.commit.id
    assert new.row.parameters == {"epochs": 1000}
    with pytest.raises(Invalid, match="required"):
        scene.submit()


def test_a_commit_without_an_archive_is_not_remembered(scene: Scene) -> None:
    add_commit(scene.world, scene.project_id, FULL, STEPS)
    change(scene, update(commits).where(commits.c.identifier == FULL).values(archive_key=None))
    request = ExecutionRequest(project_id=scene.project_id, commit=FULL, step="train")
    surroundings.look(scene.world, scene.caller, request)
    key = surroundings.key_of(scene.caller, request)
    assert surroundings.recall(scene.world, key) is None
    assert surroundings.key_of(scene.caller, replace(request, step="other")) != key
