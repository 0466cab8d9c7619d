"""Groups and machines are read with what pages need of them, and nothing that is gone counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from control.database.tables.worker_groups import stack_leases
from control.domain.errors import NotFound
from control.services import group_views
from tests.factories import NOW, Scene
from tests.fleet import CONSOLE, Fleet


@pytest.fixture
def fleet(scene: Scene) -> Fleet:
    return Fleet(scene.world, "gpu", NOW)


def test_groups_come_in_the_order_in_which_they_are_tried(fleet: Fleet) -> None:
    for name, rank in (("a-second", 1), ("z-first", 0), ("b-third", 2)):
        fleet.group(name, rank=rank)
    Fleet(fleet.world, "other", NOW).group("elsewhere")
    found = group_views.list_groups(fleet.world, NOW, fleet.environment_id)
    assert [one.row.name for one in found] == ["z-first", "a-second", "b-third"]
    assert len(group_views.list_groups(fleet.world, NOW)) == 4


def test_a_group_is_found_by_name_and_by_id(fleet: Fleet) -> None:
    group_id = fleet.group("l4")
    assert group_views.find(fleet.world, "l4", NOW).row.id == group_id
    assert group_views.find(fleet.world, group_id, NOW).row.name == "l4"
    with pytest.raises(NotFound):
        group_views.find(fleet.world, "l5", NOW)


def test_machines_count_by_state_until_they_are_gone(fleet: Fleet) -> None:
    group_id = fleet.group("l4")
    for state in ("launching", "launching", "ready", "draining", "terminating"):
        fleet.machine(group_id, state)
    fleet.machine(group_id, "gone", gone_at=NOW)
    view = group_views.find(fleet.world, "l4", NOW)
    assert view.counts == {"launching": 2, "ready": 1, "draining": 1, "terminating": 1}
    assert view.live == 4


def test_a_machine_is_busy_while_its_worker_holds_an_execution(scene: Scene, fleet: Fleet) -> None:
    group_id = fleet.group("l4")
    fleet.machine(group_id, "ready", worker_id=scene.worker.id)
    fleet.worker(group_id, "idle")
    scene.submit()
    spec = scene.claim()
    assert spec is not None
    assert group_views.find(fleet.world, "l4", NOW).busy == 1
    rows = group_views.page_of_machines(fleet.world, group_id, before=None, limit=9)
    assert {row.worker: row.held for row in rows} == {"worker-1": 1, "idle": 0}
    scene.finish(spec)
    assert group_views.find(fleet.world, "l4", NOW).busy == 0


def test_only_a_lease_in_force_is_shown(fleet: Fleet) -> None:
    fleet.group("l4")
    stack = "prod-aws-eu-west-1-wg-l4"
    lease = {"stack": stack, "holder": "person:ada", "fence": 1, "taken_at": NOW}
    fleet.add(stack_leases, **lease, until=NOW + timedelta(seconds=9))
    found = group_views.find(fleet.world, "l4", NOW)
    assert found.lease is not None
    assert found.lease.holder == "person:ada"
    assert group_views.find(fleet.world, "l4", NOW + timedelta(seconds=10)).lease is None


def test_what_somebody_may_have_to_look_at_comes_first(fleet: Fleet) -> None:
    group_id = fleet.group("l4")
    fleet.machine(group_id, "terminating", instance_id="ending")
    fleet.machine(group_id, "launching", instance_id="starting")
    fleet.machine(group_id, "lost", instance_id="lost")
    fleet.machine(group_id, "failed", instance_id="failed", console=CONSOLE)
    fleet.worker(group_id, "works")
    fleet.worker(group_id, "reclaimed", instance_id="reclaimed", reclaim_at=NOW)
    rows = group_views.list_unready(fleet.world, [group_id], NOW, limit=9)
    names = [row.instance_id for row in rows]
    assert names == ["failed", "lost", "starting", "ending", "reclaimed"]
    assert [row.has_console for row in rows] == [True, False, False, False, False]
    assert "console" not in rows[0]._mapping


def test_one_that_never_joined_is_shown_for_a_day_after_its_end(fleet: Fleet) -> None:
    group_id = fleet.group("l4")
    for name, hours in (("lately", 20), ("long-ago", 30)):
        fleet.machine(
            group_id,
            "gone",
            instance_id=name,
            launched_at=fleet.ago(hours=hours),
            gone_at=fleet.ago(hours=hours - 1),
            console=CONSOLE,
        )
    fleet.machine(group_id, "gone", gone_at=NOW, joined_at=NOW)
    rows = group_views.list_unready(fleet.world, [group_id], NOW, limit=9)
    assert [row.instance_id for row in rows] == ["lately"]
    assert group_views.consoles(fleet.world, [rows[0].id]) == {rows[0].id: CONSOLE}


def test_orphans_are_those_of_the_places_asked_for(fleet: Fleet) -> None:
    fleet.machine(None, "ready", instance_id="here")
    fleet.machine(None, "ready", instance_id="elsewhere", region="us-east-1")
    fleet.machine(None, "gone", instance_id="was", gone_at=NOW)
    rows = group_views.list_orphans(fleet.world, [("aws", "eu-west-1")], limit=9)
    assert [row.instance_id for row in rows] == ["here"]
    assert group_views.list_orphans(fleet.world, [], limit=9) == []


def test_all_machines_are_paged_newest_first(fleet: Fleet) -> None:
    group_id = fleet.group("l4")
    ids = [fleet.machine(group_id, "ready", launched_at=fleet.ago(minutes=ago)) for ago in range(5)]
    first = group_views.page_of_machines(fleet.world, group_id, before=None, limit=2)
    rest = group_views.page_of_machines(fleet.world, group_id, before=first[-1].id, limit=9)
    assert [row.id for row in [*first, *rest]] == ids
