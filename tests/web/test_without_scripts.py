"""Reading and every form work with JavaScript off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.journey.project import Execution, Project
from tests.web.conftest import DIGITS, Trained, Visitors
from tests.web.person import Person


@pytest.fixture
def reader(visitors: Visitors) -> Iterator[Person]:
    with visitors(java_script_enabled=False) as ada:
        ada.sign_in()
        yield ada


def test_the_pages_can_be_read(reader: Person, trained: Trained) -> None:
    page = reader.go(trained.paths["execution"])
    expect(page.locator(".sentence")).to_contain_text("Done")
    reader.go(trained.paths["log"])
    expect(page.locator(".log")).to_contain_text("digits to learn from")
    reader.go(trained.paths["metrics"])
    expect(page.get_by_role("row", name="accuracy")).to_be_visible()
    reader.go(trained.paths["executions"])
    expect(page.locator("[data-rows]")).to_contain_text("train")


def test_a_project_is_made_linked_fetched_and_run(reader: Person, steps: Project) -> None:
    page = reader.go("/projects/new/")
    page.get_by_label("Name").fill("plain")
    page.get_by_role("button", name="Make the project").click()
    page.get_by_label("Address").fill(str(steps.folder))
    page.get_by_role("button", name="Save the repository").click()
    expect(page.locator(".toast")).to_contain_text("1 new commit")
    page.get_by_role("button", name="Fetch now").click()
    expect(page.locator(".toast")).to_contain_text("0 new commits")
    page.get_by_role("link", name="New run").click()
    page.get_by_label("Step", exact=True).select_option("talk")
    page.get_by_role("button", name="Show").click()
    page.get_by_label("lines").fill("2")
    page.get_by_role("button", name="Run talk").click()
    page.wait_for_url("**/executions/*/")
    Execution(steps.place, steps.api, page.url.split("/")[-2]).wait("complete")


def test_an_input_is_chosen_by_the_form_alone(reader: Person, trained: Trained) -> None:
    page = reader.go(trained.paths["new-run"])
    page.get_by_label("epochs").fill("1")
    choice = page.get_by_label("A file of this project for digits")
    choice.select_option(value=f"datum://{trained.datum_id}")
    page.get_by_role("button", name="Run train").click()
    page.wait_for_url("**/executions/*/")
    made = Execution(trained.project.place, trained.project.api, page.url.split("/")[-2])
    made.wait("complete")


def test_files_are_uploaded(reader: Person, steps: Project) -> None:
    page = reader.go(f"/projects/{steps.id}/data/")
    page.get_by_label("File to store").set_input_files(
        [DIGITS / "picture.py", DIGITS / "valohai.yaml"]
    )
    page.get_by_role("button", name="Upload").click()
    for name in ("picture.py", "valohai.yaml"):
        expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()


def test_a_filter_is_applied_by_its_button(reader: Person, steps: Project) -> None:
    steps.run("fail").wait("error")
    page = reader.go(f"/projects/{steps.id}/executions/")
    page.get_by_label("Step", exact=True).fill("fail")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("[data-rows]")).to_contain_text("fail")
    expect(page.locator("[data-rows]")).not_to_contain_text("talk")


def test_an_execution_is_stopped(reader: Person, steps: Project) -> None:
    made = steps.run("wait")
    made.wait_for_line("begun")
    page = reader.go(f"/executions/{made.id}/")
    page.get_by_role("button", name="Stop").click()
    made.wait("stopped")


def test_a_secret_is_never_shown_again(reader: Person, steps: Project) -> None:
    page = reader.go(f"/projects/{steps.id}/settings/")
    variables = page.get_by_role("region", name="Variables")
    variables.get_by_label("Name", exact=True).fill("API_KEY")
    variables.get_by_label("Value", exact=True).fill("hush-hush-value")
    variables.get_by_label("Secret").check()
    variables.get_by_role("button", name="Set the variable").click()
    expect(page.get_by_role("row", name="API_KEY")).to_contain_text("secret")
    assert "hush-hush-value" not in page.content()
