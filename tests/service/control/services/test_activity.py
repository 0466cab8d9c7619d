"""How many executions a project made on each day."""

from __future__ import annotations

from datetime import timedelta

from control.services import activity, executions
from tests.factories import Scene

DAY = timedelta(days=1)


def test_executions_are_counted_by_the_day_they_were_made(scene: Scene) -> None:
    begin = scene.now
    starts = [begin + DAY * at for at in range(3)]
    for hours, count in ((-5, 4), (1, 2), (23, 1), (49, 3), (60, 2)):
        scene.now = begin + timedelta(hours=hours)
        for _ in range(count):
            scene.submit()
    found = activity.by_day(scene.world, [scene.project_id], starts)
    assert found == {scene.project_id: (3, 0, 5)}


def test_a_project_that_rested_is_left_out(scene: Scene) -> None:
    assert activity.by_day(scene.world, [scene.project_id], [scene.now]) == {}
    scene.submit()
    assert activity.by_day(scene.world, [scene.project_id], [scene.now + DAY]) == {}


def test_the_newest_executions_of_projects_are_read_without_the_deleted(scene: Scene) -> None:
    views = [scene.submit() for _ in range(4)]
    for view in (views[3], views[1]):
        executions.request_stop(scene.world, scene.caller, view, scene.now)
        ended = executions.find(scene.world, scene.caller, view.row.id)
        executions.delete(scene.world, scene.caller, ended, scene.now)
    ids = [scene.project_id, "elsewhere"]
    found = executions.newest_of(scene.world, ids, 5)[scene.project_id]
    assert [row.counter for row in found] == [3, 1]
    assert [row.counter for row in executions.newest_of(scene.world, ids, 1)[scene.project_id]] == [
        3
    ]
