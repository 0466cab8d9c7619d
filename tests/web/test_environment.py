"""The environment's page in each state: what waits, how many machines and why, what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from control.services import queueing
from tests.fleet import CONSOLE, DAY, Fleet
from tests.journey.installation import Installation
from tests.journey.project import Project
from tests.web.conftest import Visitors
from tests.web.person import Person
from tests.web.test_pages import PAGE_LIMIT_BYTES, faults


@pytest.fixture
def fleet(site: Installation) -> Iterator[Fleet]:
    """An environment of this test's own, empty, in a region where no other has machines."""
    with site.world() as world:
        slug = f"env-{uuid4().hex[:8]}"
        yield Fleet(world, slug, region=slug)


def fill(fleet: Fleet) -> None:
    """Everything at once: two groups, machines in every state, decisions, runs."""
    backoff = (fleet.now + timedelta(minutes=9)).isoformat()
    memory = {"backoff_until": backoff, "backoff_message": "No g6.xlarge capacity in eu-west-1a."}
    spot = fleet.group(f"{fleet.slug}-spot", market="spot", memory=memory, monthly_budget_usd=4000)
    other = fleet.group(f"{fleet.slug}-other", rank=1)
    fleet.decide(spot, *DAY)
    fleet.decide(other, (38, 200, 4, 0, 0, "Spot is held back: 4 machines on demand."))
    for number in range(3):
        fleet.worker(spot, f"ip-10-0-3-{number}")
        fleet.machine(other, "launching", launched_at=fleet.ago(minutes=2))
    fleet.machine(other, "failed", console=CONSOLE, reason="It did not join within 15 min")
    fleet.machine(other, "lost", joined_at=fleet.now, reason="It has been silent for 10 min")
    fleet.machine(spot, "draining", joined_at=fleet.now, reclaim_at=fleet.now)
    fleet.machine(None, "ready")
    fleet.waiting(84)
    fleet.run(f"prod-aws-eu-west-1-wg-{fleet.slug}-other", size=4)
    fleet.run(
        f"prod-aws-eu-west-1-wg-{fleet.slug}-spot",
        "failed",
        started_at=fleet.ago(minutes=9),
        error="The launch template names an image that does not exist.",
        changes={"update": 1},
    )


def card(page: Page, heading: str) -> Locator:
    return page.get_by_role("region", name=heading)


def test_an_environment_without_groups_teaches_how_to_add_one(person: Person, fleet: Fleet) -> None:
    page = person.go(fleet.path)
    expect(page.locator("#sentence")).to_contain_text("waits until one joins")
    expect(card(page, "Worker groups")).to_contain_text(
        f"talkoot group add NAME --environment {fleet.slug}"
    )
    expect(page.get_by_role("link", name="Add a worker group")).to_be_visible()


def test_an_empty_group_says_what_the_first_execution_does(person: Person, fleet: Fleet) -> None:
    fleet.group(fleet.slug)
    page = person.go(fleet.path)
    expect(page.locator("#sentence")).to_have_text(
        "Nothing waits and no machine runs: one starts with the first execution."
    )
    expect(card(page, "Worker groups")).to_contain_text("Empty")
    expect(card(page, "Why this size")).to_contain_text("No decision yet")
    expect(page.locator("[data-steps]")).to_have_count(0)


def test_machines_that_start_are_counted_and_given_their_time(person: Person, fleet: Fleet) -> None:
    group_id = fleet.group(fleet.slug)
    fleet.decide(group_id, (2, 198, 2, 0, 0, "198 executions wait: 2 machines launched."))
    for _ in range(2):
        fleet.machine(group_id, "launching", launched_at=fleet.ago(minutes=2))
    fleet.waiting(198)
    page = person.go(fleet.path)
    expect(page.locator("#sentence")).to_have_text("198 executions waiting; 2 machines starting.")
    expect(card(page, "Worker groups")).to_contain_text("Growing")
    expect(card(page, "Why this size")).to_contain_text("198 executions wait: 2 machines launched.")
    expect(card(page, "Machines that come and go")).to_contain_text("more to join")


STATES: list[tuple[str, Callable[[Fleet], dict[str, object]], str, str]] = [
    (
        "held-back",
        lambda fleet: {
            "memory": {
                "backoff_until": (fleet.now + timedelta(minutes=9)).isoformat(),
                "backoff_message": "InsufficientInstanceCapacity in eu-west-1a.",
            }
        },
        "Held back",
        "InsufficientInstanceCapacity in eu-west-1a.",
    ),
    (
        "breaker",
        lambda _: {
            "memory": {
                "breaker_reason": "3 machines in a row never joined",
                "breaker_version": "v1",
            }
        },
        "Stopped after failures",
        "3 machines in a row never joined.",
    ),
    (
        "breaker-of-an-older-config",
        lambda _: {"memory": {"breaker_reason": "A broken image", "breaker_version": "v0"}},
        "Empty",
        "Nothing waits for it yet.",
    ),
    (
        "backoff-that-is-over",
        lambda fleet: {"memory": {"backoff_until": fleet.ago(minutes=1).isoformat()}},
        "Empty",
        "Nothing waits for it yet.",
    ),
    ("paused", lambda _: {"paused_by": "grace"}, "Paused", "grace holds the stack"),
    ("off", lambda _: {"is_enabled": False}, "Switched off", "An administrator switched it off"),
]


@pytest.mark.parametrize(
    ("change", "word", "sentence"), [one[1:] for one in STATES], ids=[one[0] for one in STATES]
)
def test_what_keeps_a_group_from_following_the_queue_is_said(
    person: Person,
    fleet: Fleet,
    change: Callable[[Fleet], dict[str, object]],
    word: str,
    sentence: str,
) -> None:
    fleet.group(fleet.slug, **change(fleet))
    groups = card(person.go(fleet.path), "Worker groups")
    expect(groups.locator(".chip")).to_have_text(word)
    expect(groups.locator(".reason")).to_contain_text(sentence)


def test_a_machine_that_never_joined_shows_its_console_on_demand(
    person: Person, fleet: Fleet
) -> None:
    group_id = fleet.group(fleet.slug)
    fleet.machine(group_id, "failed", console=CONSOLE, reason="It did not join within 15 min")
    page = person.go(fleet.path)
    console = page.locator(".console")
    expect(card(page, "Machines that come and go")).to_contain_text("Never joined")
    expect(console).to_be_hidden()
    page.get_by_text("Console output").click()
    expect(console).to_contain_text("the release's hash is not the one that was announced")
    # What is opened stays open when the part is sent anew.
    with page.expect_response(lambda answer: answer.url.endswith("range=6h")):
        queueing.announce_environment(fleet.world, fleet.environment_id)
    page.wait_for_timeout(100)
    expect(console).to_be_visible()
    page.get_by_role("link", name="All that is kept").click()
    expect(page.locator("body")).to_contain_text("cloud-init")


def test_consoles_and_engine_errors_are_for_administrators(
    visitors: Visitors, fleet: Fleet, member_token: str
) -> None:
    fill(fleet)
    with visitors() as somebody:
        somebody.sign_in(member_token)
        page = somebody.go(fleet.path)
        expect(card(page, "Machines that come and go")).to_contain_text("Never joined")
        expect(page.locator(".console")).to_have_count(0)
        expect(card(page, "Engine runs")).to_contain_text("Failed")
        expect(page.locator("body")).not_to_contain_text("names an image")
        expect(page.get_by_role("link", name="Add a worker group")).to_have_count(0)


def test_an_orphan_is_named(person: Person, fleet: Fleet) -> None:
    fleet.group(fleet.slug)
    fleet.machine(None, "ready", instance_id="i-nobodys")
    row = person.go(fleet.path).get_by_role("row", name="i-nobodys")
    expect(row).to_contain_text("Orphan")
    expect(row).to_contain_text("No group of ours owns it")


def test_a_decision_appears_without_a_reload(person: Person, fleet: Fleet) -> None:
    group_id = fleet.group(fleet.slug)
    page = person.go(fleet.path)
    expect(card(page, "Why this size")).to_contain_text("No decision yet")
    page.evaluate("window.isTheSamePage = true")
    fleet.decide(group_id, (0, 40, 5, 0, 0, "40 executions wait: 5 machines launched."))
    queueing.announce_environment(fleet.world, fleet.environment_id)
    expect(card(page, "Why this size")).to_contain_text("5 machines launched", timeout=5000)
    expect(page.locator(".metrics-now")).to_contain_text("Machines wanted5")
    assert page.evaluate("window.isTheSamePage")


def test_the_range_is_in_the_address(person: Person, fleet: Fleet) -> None:
    fill(fleet)
    page = person.go(fleet.path)
    expect(page.locator(".steps canvas")).to_have_count(2)
    page.get_by_role("link", name="1 h", exact=True).click()
    page.wait_for_url("**/?range=1h")
    expect(page.get_by_role("link", name="1 h", exact=True)).to_have_attribute(
        "aria-current", "true"
    )
    expect(page.locator("#now")).to_contain_text("In the last 1 h: at most 200 executions waiting")
    page.go_back()
    expect(page.locator("#now")).to_contain_text("In the last 6 h")


def test_the_chart_and_the_price_are_in_the_first_screen(person: Person, fleet: Fleet) -> None:
    fill(fleet)
    page = person.go(fleet.path)
    for place in (".steps canvas >> nth=1", "#why", ".metrics-now", "text=Price"):
        part = page.locator(place).first
        expect(part).to_be_visible()
        box = part.bounding_box()
        assert box is not None
        assert box["y"] + min(box["height"], 200) <= 800, place


def test_it_can_be_read_without_scripts(visitors: Visitors, fleet: Fleet) -> None:
    fill(fleet)
    with visitors(java_script_enabled=False) as ada:
        ada.sign_in()
        page = ada.go(fleet.path)
        expect(page.locator(".steps")).to_be_hidden()
        expect(page.locator("#now")).to_contain_text("at most 200 executions waiting")
        page.get_by_text("As a table").click()
        table = page.get_by_role("region", name="Queue and machines over time")
        expect(table.get_by_role("row")).not_to_have_count(1)
        page.get_by_text("Console output").click()
        expect(page.locator(".console")).to_contain_text("talkoot-bring-up")


def test_it_is_walked_by_keyboard(person: Person, fleet: Fleet) -> None:
    fill(fleet)
    page = person.go(fleet.path)
    page.wait_for_load_state("load")
    page.keyboard.press("j")
    group = page.get_by_role("link", name=f"{fleet.slug}-spot").last
    expect(group).to_be_focused()
    # What has the focus keeps it when the part is sent anew.
    page.evaluate("document.activeElement.dataset.old = ''")
    queueing.announce_environment(fleet.world, fleet.environment_id)
    expect(page.locator("[data-old]")).to_have_count(0)
    expect(group).to_be_focused()
    page.locator("summary", has_text="Console output").press("Enter")
    expect(page.locator(".console")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_there(visitors: Visitors, fleet: Fleet, scheme: str) -> None:
    fill(fleet)
    with visitors(color_scheme=scheme, reduced_motion="reduce") as ada:
        ada.sign_in()
        page = ada.go(fleet.path)
        expect(page.locator(".steps canvas")).to_have_count(2)
        for fold in page.locator("summary").all()[1:]:
            fold.click()
        assert faults(page) == {}


def test_it_fits_a_phone(visitors: Visitors, fleet: Fleet) -> None:
    fill(fleet)
    with visitors(size="tiny") as ada:
        ada.sign_in()
        page = ada.go(fleet.path)
        expect(page.locator(".steps canvas")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_many_machines_and_decisions_stay_light(person: Person, fleet: Fleet) -> None:
    for number in range(3):
        group_id = fleet.group(f"{fleet.slug}-{number}", max=500, rank=number)
        points = [(n / 12, n % 90, n % 20, n % 19, n % 18, f"Number {n}.") for n in range(4000)]
        fleet.decide(group_id, *reversed(points))
        for worker in range(60):
            fleet.worker(group_id, f"ip-10-0-0-{worker}")
            fleet.machine(group_id, "failed", console=CONSOLE * 100)
    cookies = {c["name"]: c["value"] for c in person.page.context.cookies()}
    with httpx.Client(base_url=person.place.url, trust_env=False, cookies=cookies) as client:
        answer = client.get(f"{fleet.path}?range=7d")
        assert answer.status_code == 200
        assert len(answer.content) <= PAGE_LIMIT_BYTES
        assert len(client.get(f"{fleet.path}scaling.json?range=7d").content) <= 32 * 1024


def test_a_new_run_says_that_a_machine_is_started(
    person: Person, fleet: Fleet, steps: Project
) -> None:
    fleet.group(fleet.slug)
    page = person.go(f"/projects/{steps.id}/new/")
    choice = page.get_by_label("Environment").locator(f"option[value='{fleet.slug}']")
    expect(choice).to_contain_text("a machine is started for it")
