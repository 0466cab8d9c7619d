"""Worker groups as an administrator adds, reads and changes them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from control.database.tables.people import audit_entries
from control.domain.errors import Forbidden, Invalid, NotFound
from control.domain.roles import Caller
from control.plugins.clouds.memory import MemoryCloud
from control.services import environments, people, worker_groups
from tests.factories import NOW, Scene
from tests.scaling_scenes import add_machine, add_ready, new_group


@pytest.fixture
def admin(scene: Scene) -> Caller:
    return Caller(people.add_user(scene.world, "root", None, True, NOW).id, "root", is_admin=True)


def faults(scene: Scene, **given: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as raised:
        worker_groups.add(scene.world, None, new_group(**given), NOW)
    return {error.field: error.message for error in raised.value.errors}


def audits(scene: Scene) -> Counter[tuple[str, str, str]]:
    with scene.world.database.read() as connection:
        rows = connection.execute(select(audit_entries)).all()
    return Counter((row.action, row.actor, row.subject) for row in rows)


def test_a_group_is_added_with_its_environment_and_an_audit_row(
    scene: Scene, admin: Caller
) -> None:
    new = new_group("gpu", maximum=8, slots=2, price_per_hour_usd=1.25, owner="vision")
    [row] = worker_groups.add(scene.world, admin, new, NOW)
    assert (row.name, row.stack) == ("gpu", "prod-aws-eu-west-1-wg-gpu")
    assert (row.cloud, row.region, row.market, row.rank) == ("aws", "eu-west-1", "on-demand", 0)
    assert (row.min, row.max, row.slots, row.wanted) == (0, 8, 2, 0)
    assert row.inputs["instanceType"] == "g5.xlarge"
    found = {one.slug: one for one in environments.list_all(scene.world)}
    assert (found["gpu"].kind, found["gpu"].id) == ("aws", row.environment_id)
    assert found["gpu"].per_hour_price_usd == 1.25
    assert not found["gpu"].is_default
    assert audits(scene)["environment.add", "root", "gpu"] == 1
    assert audits(scene)["worker_group.add", "root", "gpu"] == 1


def test_several_markets_are_several_groups_of_one_environment_in_order(scene: Scene) -> None:
    new = new_group("gpu", markets=("spot", "on-demand"), max_price_usd=0.5)
    spot, full = worker_groups.add(scene.world, None, new, NOW)
    assert [(one.name, one.market, one.rank) for one in (spot, full)] == [
        ("gpu-spot", "spot", 0),
        ("gpu-on-demand", "on-demand", 1),
    ]
    assert spot.environment_id == full.environment_id
    assert spot.inputs["maxPriceUsd"] == "0.5"
    assert "maxPriceUsd" not in full.inputs
    [third] = worker_groups.add(scene.world, None, new_group("big", environment="gpu"), NOW)
    assert (third.rank, third.environment_id) == (2, spot.environment_id)


def test_all_faults_are_named_at_once_and_nothing_is_written(scene: Scene) -> None:
    found = faults(scene, name="GPU", instance_type="", slots=0, markets=("cheap",))
    assert set(found) == {"name", "instance_type", "slots", "markets"}
    assert worker_groups.list_all(scene.world) == []


def test_machines_do_not_join_a_local_environment_by_themselves(scene: Scene) -> None:
    assert "local" in faults(scene, environment="gpu-small")["environment"]


def test_an_instance_type_that_the_cloud_does_not_have_is_refused_with_near_ones(
    scene: Scene,
) -> None:
    cloud = MemoryCloud("prod")
    world = replace(scene.world, clouds=lambda _name: cloud)
    wrong = new_group(instance_type="g5.xlrge")
    with pytest.raises(Invalid, match=r"eu-west-1 has no 'g5.xlrge'. Did you mean g5.xlarge"):
        worker_groups.add(world, None, wrong, NOW)
    assert worker_groups.list_all(world) == []
    assert worker_groups.add(world, None, new_group(), NOW)
    cloud.faults.is_unreachable = True
    assert worker_groups.add(world, None, replace(wrong, name="unchecked"), NOW)


def test_a_name_is_given_once(scene: Scene) -> None:
    worker_groups.add(scene.world, None, new_group(), NOW)
    assert "already" in faults(scene)["name"]
    assert len(worker_groups.list_all(scene.world)) == 1


def test_only_an_administrator_sees_and_changes_groups(scene: Scene, admin: Caller) -> None:
    world, ada = scene.world, scene.caller
    with pytest.raises(Forbidden):
        worker_groups.add(world, ada, new_group(), NOW)
    worker_groups.add(world, admin, new_group(), NOW)
    for refused in (
        lambda: worker_groups.list_all(world, ada),
        lambda: worker_groups.find(world, ada, "gpu"),
        lambda: worker_groups.change(world, ada, "gpu", {"maximum": 9}, NOW),
        lambda: worker_groups.set_enabled(world, ada, "gpu", False, NOW),
    ):
        with pytest.raises(Forbidden):
            refused()
    assert worker_groups.find(world, admin, "gpu").row.max == 5


def test_a_group_is_found_by_name_or_id_with_its_machines(scene: Scene) -> None:
    [row] = worker_groups.add(scene.world, None, new_group(), NOW)
    add_machine(scene, row, "gone", gone_at=NOW)
    add_ready(scene, row, "here")
    for lookup in ("gpu", row.id):
        view = worker_groups.find(scene.world, None, lookup)
        assert view.environment.slug == "gpu"
        assert [one.instance_id for one in view.machines] == ["i-here"]
        assert view.decision is None
    with pytest.raises(NotFound, match="talkoot group list"):
        worker_groups.find(scene.world, None, "moon")


def test_bounds_are_changed_in_the_row_and_in_the_stacks_config(
    scene: Scene, admin: Caller
) -> None:
    [before] = worker_groups.add(scene.world, admin, new_group(), NOW)
    changes = {"minimum": 1, "maximum": 9, "spare": 1, "hourly_budget_usd": 20.0}
    row = worker_groups.change(scene.world, admin, "gpu", changes, NOW)
    assert (row.min, row.max, row.spare, row.hourly_budget_usd) == (1, 9, 1, 20.0)
    assert (row.inputs["min"], row.inputs["max"]) == ("1", "9")
    assert row.config_version != before.config_version, "the stack must be brought up to it"
    assert worker_groups.change(scene.world, admin, "gpu", {"hourly_budget_usd": None}, NOW)
    other = worker_groups.change(scene.world, admin, "gpu", {"channel": "beta"}, NOW)
    assert (other.inputs["channel"], other.hourly_budget_usd) == ("beta", None)
    assert audits(scene)["worker_group.change", "root", "gpu"] == 3


def test_a_wrong_change_names_its_field_and_changes_nothing(scene: Scene) -> None:
    [before] = worker_groups.add(scene.world, None, new_group(), NOW)
    wrong: list[tuple[str, Any]] = [
        ("minimum", 6),
        ("maximum", -1),
        ("maximum", None),
        ("spare", 6),
        ("channel", ""),
        ("instance_type", "m7i.large"),
        ("wanted", 3),
    ]
    for field, value in wrong:
        with pytest.raises(Invalid) as raised:
            worker_groups.change(scene.world, None, "gpu", {field: value}, NOW)
        assert [error.field for error in raised.value.errors] == [field]
    assert worker_groups.find(scene.world, None, "gpu").row == before


def test_a_group_is_switched_off_and_on_once(scene: Scene) -> None:
    worker_groups.add(scene.world, None, new_group(), NOW)
    assert not worker_groups.set_enabled(scene.world, None, "gpu", False, NOW).is_enabled
    assert not worker_groups.set_enabled(scene.world, None, "gpu", False, NOW).is_enabled
    assert audits(scene)["worker_group.disable", "operator", "gpu"] == 1
    assert worker_groups.set_enabled(scene.world, None, "gpu", True, NOW).is_enabled
