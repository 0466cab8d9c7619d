"""What somebody reads whose execution waits for machines, on both databases."""

from __future__ import annotations

from control.loops import autoscale
from control.services import executions, worker_groups
from tests.factories import Scene
from tests.scaling_scenes import add_group, add_machine, add_ready, group_of, see_all, set_group


def reason(scene: Scene) -> str:
    """The words on the last of the submitted executions."""
    view = scene.submit(environment="gpu")
    autoscale.tick(scene.world, scene.now)
    return executions.wait_reason(scene.world, view, scene.now) or ""


def test_the_words_go_from_starting_machines_to_a_free_worker(scene: Scene) -> None:
    group = add_group(scene, environment="gpu", maximum=2)
    assert "next on gpu; 1 machine starting, 1 waiting." in reason(scene)
    add_machine(scene, group, "one")
    assert "2nd of 2 on gpu; 2 machines starting, 2 waiting." in reason(scene)
    _, worker = add_ready(scene, group, "two")
    assert "1 worker free, it starts in a moment" in reason(scene)
    spec = scene.claim(worker)
    assert spec is not None
    scene.later(60)
    scene.finish(spec)
    assert scene.claim(worker) is not None
    see_all(scene, scene.now)
    assert "1 machine starting, 2 waiting: 2 a minute expected" in reason(scene)


def test_the_words_say_why_nothing_starts(scene: Scene) -> None:
    group = add_group(scene, environment="gpu", maximum=1)
    _, worker = add_ready(scene, group, "one")
    set_group(scene.world, group.id, wanted=1)
    scene.submit(environment="gpu")
    assert scene.claim(worker) is not None
    assert "the maximum of 1 is reached" in reason(scene)
    memory = {"breaker_reason": "no such image", "breaker_version": group.config_version}
    set_group(scene.world, group.id, memory=memory)
    assert "no such image" in reason(scene)


def test_the_words_say_what_holds_the_stack(scene: Scene) -> None:
    group = add_group(scene, environment="gpu")
    set_group(scene.world, group.id, hold="The stack is locked by ada.")
    assert "1 machine starting, 1 waiting; The stack is locked by ada." in reason(scene)
    row = group_of(scene.world, group.id)
    set_group(scene.world, group.id, applied=row.wanted)
    worker_groups.set_enabled(scene.world, None, "gpu", False, scene.now)
    assert "nothing fits: no worker group is switched on" in reason(scene)


def test_a_local_environment_keeps_its_words(scene: Scene) -> None:
    view = scene.submit()
    assert "1 worker free" in (executions.wait_reason(scene.world, view, scene.now) or "")
