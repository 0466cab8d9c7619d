"""Everything by keyboard alone."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.journey.project import Execution, Project
from tests.web.conftest import PASSWORD, Visitors
from tests.web.person import Person


def test_sign_in_and_run_without_a_mouse(visitors: Visitors, steps: Project) -> None:
    with visitors() as ada:
        page = ada.go(f"/projects/{steps.id}/executions/")
        keyboard = page.keyboard
        expect(page.get_by_label("User name")).to_be_focused()
        keyboard.type("ada")
        keyboard.press("Tab")
        keyboard.type(PASSWORD)
        keyboard.press("Enter")
        page.wait_for_url("**/executions/")
        page.wait_for_load_state("load")
        keyboard.press("n")
        page.wait_for_url("**/new/")
        page.get_by_label("Step", exact=True).focus()
        keyboard.type("talk")
        page.wait_for_url("**step=talk**")
        page.get_by_label("lines").focus()
        keyboard.press("Control+A")
        keyboard.type("3")
        keyboard.press("Enter")
        page.wait_for_url("**/executions/*/")
        Execution(steps.place, steps.api, page.url.split("/")[-2]).wait("complete")


def test_the_letters_go_to_their_places(person: Person, steps: Project) -> None:
    steps.run("talk", parameters={"lines": 1}).wait("complete")
    page = person.go(f"/projects/{steps.id}/settings/")
    page.wait_for_load_state("load")
    for keys, path in (("ge", "executions"), ("gd", "data"), ("gp", "")):
        page.keyboard.press(keys[0])
        page.keyboard.press(keys[1])
        page.wait_for_url(f"**/projects/{steps.id}/{path}/" if path else person.place.url + "/")
        page.wait_for_load_state("load")


def test_rows_are_walked_selected_and_opened(person: Person, steps: Project) -> None:
    steps.run("talk", parameters={"lines": 1}).wait("complete")
    page = person.go(f"/projects/{steps.id}/executions/")
    page.wait_for_load_state("load")
    page.keyboard.press("j")
    first = page.locator("[data-rows] tr").first
    expect(first).to_have_attribute("data-current", "")
    page.keyboard.press("x")
    expect(first.get_by_role("checkbox")).to_be_checked()
    expect(page.locator("[data-count]")).to_have_text("1 selected")
    page.keyboard.press("Enter")
    page.wait_for_url("**/executions/*-*/")


def test_slash_searches_and_escape_leaves(person: Person, steps: Project) -> None:
    page = person.go(f"/projects/{steps.id}/executions/")
    page.wait_for_load_state("load")
    page.keyboard.press("/")
    expect(page.get_by_label("Text in title or step")).to_be_focused()
    page.keyboard.type("nothing like it")
    expect(page.get_by_role("heading", name="No execution is like that")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Text in title or step")).not_to_be_focused()


def test_the_help_lists_the_keys_and_closes(person: Person) -> None:
    page = person.go("/")
    page.wait_for_load_state("load")
    page.keyboard.press("Shift+?")
    expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Keyboard")).not_to_be_visible()


def test_the_focus_can_be_seen(person: Person) -> None:
    page = person.go("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(4):
        page.keyboard.press("Tab")
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid"
