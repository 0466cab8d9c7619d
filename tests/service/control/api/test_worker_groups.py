"""Worker groups by the API: added, changed, looked into; what is wrong is named by its field."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fleet import CONSOLE, Fleet
from tests.service.control.api.conftest import Desk

NEW: dict[str, Any] = {
    "name": "l4",
    "base_stack": "prod-aws-eu-west-1-base",
    "instance_type": "g6.xlarge",
    "image": "ami-0123456789abcdef0",
    "max": 20,
}


@pytest.fixture
def fleet(desk: Desk) -> Fleet:
    return Fleet(desk.scene.world, "gpu", desk.scene.now)


def test_a_group_a_market_is_added_with_its_stacks_config(desk: Desk) -> None:
    body = {**NEW, "markets": ["spot", "on-demand"], "per_hour_price_usd": 0.8}
    answer = desk.post("/worker-groups/", body, role="admin")
    assert answer.status_code == 201, answer.text
    spot, other = answer.json["results"]
    assert [spot["name"], other["name"]] == ["l4-spot", "l4-on-demand"]
    assert (spot["max"], spot["per_hour_price_usd"], other["rank"]) == (20, "0.80000", 1)
    assert spot["config_file"] == "Pulumi.prod-aws-eu-west-1-wg-l4-spot.yaml"
    assert 'talkoot:max: "20"' in spot["config_text"]
    assert "size" not in spot["config"]
    found = desk.get("/worker-groups/?environment=l4")
    assert [one["name"] for one in found["results"]] == ["l4-spot", "l4-on-demand"]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"name": "L4!"}, {"name"}),
        ({"base_stack": "prod"}, {"base_stack"}),
        ({"image": None}, {"image"}),
        ({"min": 30}, {"min"}),
        ({"max": "many", "slots": 0}, {"max"}),
        ({"max": -1, "slots": 0}, {"max", "slots"}),
        ({"markets": ["auction"]}, {"markets"}),
        ({"per_hour_price_usd": -1}, {"per_hour_price_usd"}),
        ({"control_url": "http://plain"}, {"control_url"}),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_added(
    desk: Desk, change: dict[str, Any], fields: set[str]
) -> None:
    before = desk.everything()
    answer = desk.post("/worker-groups/", {**NEW, **change}, role="admin")
    assert answer.status_code == 400, answer.text
    assert set(answer.json) == fields
    assert desk.everything() == before


def test_a_name_is_taken_once(desk: Desk) -> None:
    desk.post("/worker-groups/", NEW, role="admin")
    answer = desk.post("/worker-groups/", NEW, role="admin")
    assert (answer.status_code, answer.json["name"][0]["code"]) == (400, "unique")


def test_bounds_budget_and_switch_are_changed(desk: Desk) -> None:
    desk.post("/worker-groups/", {**NEW, "hourly_budget_usd": 9}, role="admin")
    change = {"max": 4, "hourly_budget_usd": None, "is_enabled": False}
    answer = desk.call("PATCH", "/worker-groups/l4/", role="admin", json=change)
    assert answer.status_code == 200, answer.text
    shown = desk.get("/worker-groups/l4/", role="admin")
    assert (shown["max"], shown["hourly_budget_usd"], shown["is_enabled"]) == (4, None, False)
    assert shown["config"]["max"] == "4"


@pytest.mark.parametrize(
    ("change", "field"),
    [({"stack": "other"}, "stack"), ({"max": -4}, "max"), ({"is_enabled": "maybe"}, "is_enabled")],
)
def test_a_wrong_change_changes_nothing(desk: Desk, change: dict[str, Any], field: str) -> None:
    desk.post("/worker-groups/", NEW, role="admin")
    before = desk.everything()
    answer = desk.call("PATCH", "/worker-groups/l4/", role="admin", json=change)
    assert (answer.status_code, set(answer.json)) == (400, {field})
    assert desk.everything() == before


def test_configs_and_consoles_are_for_administrators(desk: Desk, fleet: Fleet) -> None:
    fleet.machine(fleet.group("l4"), "failed", console=CONSOLE)
    for role, is_shown in (("admin", True), ("stranger", False)):
        assert ("config" in desk.get("/worker-groups/l4/", role=role)) is is_shown
        row = desk.get("/worker-groups/l4/machines/", role=role)["results"][0]
        assert row["state"] == "failed"
        assert row.get("console") == (CONSOLE if is_shown else None)


def test_why_it_has_this_size_is_answered(desk: Desk, fleet: Fleet) -> None:
    group_id = fleet.group("l4", hold="A run of ada holds the stack.")
    assert desk.get("/worker-groups/l4/plan/")["decision"] is None
    fleet.decide(group_id, (1, 12, 4, 0, 0, "12 executions wait: 4 machines launched."))
    shown = desk.get("/worker-groups/l4/plan/")
    assert shown["decision"]["reason"] == "12 executions wait: 4 machines launched."
    assert shown["hold"] == "A run of ada holds the stack."


def test_decisions_are_walked_by_key(desk: Desk, fleet: Fleet) -> None:
    group_id = fleet.group("l4")
    fleet.decide(group_id, *((ago, 0, ago, 0, 0, "So.") for ago in range(5, 0, -1)))
    seen: list[int] = []
    path = "/worker-groups/l4/decisions/?limit=2"
    for _ in range(3):
        answer = desk.get(path)
        seen += [one["wanted"] for one in answer["results"]]
        path = (answer["next"] or "").partition("/api/v0")[2]
    assert (seen, path) == ([1, 2, 3, 4, 5], "")


def test_a_runs_events_are_read_from_any_number_on(desk: Desk, fleet: Fleet) -> None:
    run_id = fleet.run("prod-aws-eu-west-1-wg-l4")
    for number in range(1, 6):
        fleet.event(run_id, number, f"step {number}", operation="create")
    first = desk.get(f"/stack-runs/{run_id}/?limit=3", role="admin")
    assert [one["number"] for one in first["events"]] == [1, 2, 3]
    rest = desk.get(f"/stack-runs/{run_id}/?after={first['next']}", role="admin")
    assert [one["text"] for one in rest["events"]] == ["step 4", "step 5"]
    nothing = desk.get(f"/stack-runs/{run_id}/?after=5", role="admin")
    assert (nothing["events"], nothing["next"]) == ([], 5)


def test_a_run_is_stopped_once_it_runs(desk: Desk, fleet: Fleet) -> None:
    running = fleet.run("prod-aws-eu-west-1-wg-l4")
    over = fleet.run("prod-aws-eu-west-1-wg-l4", "succeeded", started_at=fleet.ago(hours=1))
    answer = desk.post(f"/stack-runs/{running}/stop/", role="admin")
    assert (answer.status_code, answer.json["stop_requested_by"]) == (200, "admin")
    assert desk.post(f"/stack-runs/{over}/stop/", role="admin").status_code == 409
    assert desk.post("/stack-runs/none/stop/", role="admin").status_code == 404
    only = desk.get("/stack-runs/?stack=other", role="admin")
    assert only["results"] == []
