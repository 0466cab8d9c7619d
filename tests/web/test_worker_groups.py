"""Adding and changing groups by form, draining a worker, and watching a run of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from control.database.tables.environments import workers
from control.database.tables.worker_groups import stack_runs
from tests.fleet import Fleet
from tests.journey.installation import Installation
from tests.web.conftest import Visitors
from tests.web.person import Person
from tests.web.test_pages import faults


@pytest.fixture
def fleet(site: Installation) -> Iterator[Fleet]:
    """An environment of this test's own."""
    with site.world() as world:
        slug = f"grp-{uuid4().hex[:8]}"
        yield Fleet(world, slug, region=slug)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_a_group_is_reviewed_added_and_changed(
    visitors: Visitors, fleet: Fleet, scripts: bool
) -> None:
    with visitors(java_script_enabled=scripts) as ada:
        ada.sign_in()
        page = ada.go(fleet.path)
        page.get_by_role("link", name="Add a worker group").click()
        expect(page.get_by_label("Environment")).to_have_value(fleet.slug)
        page.get_by_label("Name").fill(fleet.slug)
        page.get_by_label("Base stack").fill("prod-aws")
        page.get_by_label("Instance type").fill("g6.xlarge")
        page.get_by_label("Machine image").fill("ami-0123456789abcdef0")
        page.get_by_label("Fewest machines").fill("few")
        page.get_by_role("button", name="Add and apply").click()
        expect(page.locator(".wrong")).to_contain_text("'few' is not a whole number")
        page.get_by_label("Fewest machines").fill("0")
        page.get_by_role("button", name="Add and apply").click()
        expect(page.locator(".wrong")).to_contain_text("A base stack is named")
        page.get_by_label("Base stack").fill("prod-aws-eu-west-1-base")
        page.get_by_role("button", name="Show the config for Git").click()
        shown = page.get_by_role("region", name=f"Pulumi.prod-aws-eu-west-1-wg-{fleet.slug}.yaml")
        expect(shown).to_contain_text('talkoot:instanceType: "g6.xlarge"')
        page.get_by_role("button", name="Add and apply").click()
        page.wait_for_url(f"**/worker-groups/{fleet.slug}/")
        expect(page.locator(".sentence")).to_contain_text("Empty")
        page.get_by_label("Most machines").fill("7")
        page.get_by_label("At most $ an hour").fill("9.5")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("complementary", name="Now")).to_contain_text("0 to 7")
        expect(page.get_by_role("complementary", name="Now")).to_contain_text("$9.5 an hour")
        page.get_by_label("Most machines").fill("-1")
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".wrong").first).to_contain_text("A whole number from")


def test_a_group_is_paused_and_given_back(person: Person, fleet: Fleet) -> None:
    fleet.group(fleet.slug)
    page = person.go(f"/worker-groups/{fleet.slug}/")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".sentence")).to_contain_text("ada holds the stack")
    page.get_by_role("button", name="Give back to the service").click()
    expect(page.locator(".sentence")).to_contain_text("Empty")


def test_a_worker_is_drained(person: Person, fleet: Fleet) -> None:
    worker_id = fleet.worker(fleet.group(fleet.slug), "ip-10-0-0-9")
    page = person.go(fleet.path)
    page.get_by_role("button", name="Drain ip-10-0-0-9").click()
    page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    expect(page.locator(".toast")).to_contain_text("leaves once it is idle")
    expect(page.get_by_role("region", name="Workers")).to_contain_text("Draining")
    with fleet.world.database.read() as connection:
        row = connection.execute(select(workers).where(workers.c.id == worker_id)).one()
    assert (row.drain_epoch, row.drain_requested_at is None) == (1, False)


def test_only_administrators_change_and_watch(
    visitors: Visitors, fleet: Fleet, member_token: str
) -> None:
    worker_id = fleet.worker(fleet.group(fleet.slug), "ip-10-0-0-9")
    run_id = fleet.run(f"prod-aws-eu-west-1-wg-{fleet.slug}")
    with visitors() as grace:
        grace.sign_in(member_token)
        page = grace.go(f"/worker-groups/{fleet.slug}/")
        expect(page.locator(".sentence")).to_be_visible()
        for name in ("Pause", "Save", "Switch off"):
            expect(page.get_by_role("button", name=name)).to_have_count(0)
        for path in ("/worker-groups/new/", f"/stack-runs/{run_id}/"):
            answer = grace.page.goto(grace.place.url + path)
            assert answer is not None
            assert answer.status == 403, path
        grace.go(fleet.path)
        token = page.locator("input[name=csrf_token]").first.input_value()
        for path in (f"/workers/{worker_id}/drain/", f"/stack-runs/{run_id}/stop/"):
            sent = page.request.post(grace.place.url + path, form={"csrf_token": token})
            assert sent.status == 403, path
        streamed = page.request.get(f"{grace.place.url}/stack-runs/{run_id}/events/stream")
        assert streamed.status == 403


def test_a_run_is_watched_to_its_end_and_interrupted(person: Person, fleet: Fleet) -> None:
    run_id = fleet.run(f"prod-aws-eu-west-1-wg-{fleet.slug}", size=4)
    fleet.event(run_id, 1, "updating", operation="update", resource="aws:autoscaling/group:Group")
    page = person.go(f"/stack-runs/{run_id}/")
    expect(page.locator(".sentence")).to_contain_text("Running")
    expect(page.get_by_role("region", name="Events")).to_contain_text("autoscaling")
    page.evaluate("window.isTheSamePage = true")
    fleet.event(run_id, 2, "launch refused", kind="diagnostic", severity="error")
    expect(page.locator("#E2")).to_contain_text("launch refused")
    assert page.evaluate("window.isTheSamePage")
    page.get_by_role("button", name="Interrupt").click()
    page.get_by_role("dialog").get_by_role("button", name="Interrupt").click()
    expect(page.locator(".sentence")).to_contain_text("ada asked it to stop")
    ended = {"status": "interrupted", "ended_at": datetime.now(UTC), "changes": {"update": 1}}
    fleet.change(stack_runs, run_id, **ended)
    expect(page.locator(".sentence")).to_contain_text("Interrupted")
    expect(page.get_by_role("button", name="Interrupt")).to_have_count(0)


@pytest.mark.parametrize("size", ["desk", "tiny"])
def test_the_pages_fit_and_axe_finds_nothing(visitors: Visitors, fleet: Fleet, size: str) -> None:
    group_id = fleet.group(fleet.slug)
    fleet.decide(group_id, (9, 3, 2, 0, 0, "3 executions wait: 2 machines launched."))
    fleet.machine(group_id, "lost", reason="It has been silent for 10 min")
    run_id = fleet.run(f"prod-aws-eu-west-1-wg-{fleet.slug}")
    fleet.event(
        run_id, 1, "refused", severity="error", resource="aws:ec2/launchTemplate:" + "x" * 90
    )
    with visitors(size=size, reduced_motion="reduce") as ada:
        ada.sign_in()
        for path in ("new", fleet.slug):
            page = ada.go(f"/worker-groups/{path}/")
            assert faults(page) == {}
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        page = ada.go(f"/stack-runs/{run_id}/")
        assert faults(page) == {}
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
