"""The planner is woken by whatever puts an execution into a queue that worker groups serve."""

from __future__ import annotations

from sqlalchemy import update

from control.database.tables.environments import environments
from control.services import healing, wakeups, workers
from tests.factories import Scene
from tests.scaling_scenes import add_group, add_ready, write


def woken(scene: Scene) -> bool:
    """Whether somebody woke the planner since this was last asked."""
    return wakeups.wait(scene.world, wakeups.PLAN, 0)


def test_a_submit_wakes_the_planner_where_groups_serve_and_nowhere_else(scene: Scene) -> None:
    add_group(scene)
    woken(scene)
    scene.submit()
    assert not woken(scene)
    scene.submit(environment="gpu")
    assert woken(scene)


def test_an_execution_that_goes_back_to_the_queue_wakes_the_planner(scene: Scene) -> None:
    _, worker = add_ready(scene, add_group(scene), "one")
    scene.submit(environment="gpu")
    spec = scene.claim(worker)
    assert spec is not None
    woken(scene)
    workers.leave(scene.world, worker, scene.now)
    healing.reap(scene.world, scene.now)
    assert scene.row(spec.execution_id).status == "queued"
    assert woken(scene)


def test_a_held_execution_that_may_start_wakes_the_planner(scene: Scene) -> None:
    group = add_group(scene)
    quota = update(environments).where(environments.c.id == group.environment_id)
    write(scene.world, quota.values(per_user_queue_quota=1))
    _, worker = add_ready(scene, group, "one")
    scene.submit(environment="gpu")
    held = scene.submit(environment="gpu")
    assert scene.row(held.row.id).status == "created"
    spec = scene.claim(worker)
    assert spec is not None
    woken(scene)
    scene.finish(spec)
    assert scene.row(held.row.id).status == "queued"
    assert woken(scene)
