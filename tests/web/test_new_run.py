"""The form that runs a step."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.journey.project import Execution, Project
from tests.web.conftest import Trained
from tests.web.person import Person


def test_a_step_is_run_from_its_form(person: Person, steps: Project) -> None:
    page = person.go(f"/projects/{steps.id}/new/?step=talk")
    page.get_by_label("lines").fill("7")
    page.get_by_label("mood").select_option("loud")
    page.get_by_role("button", name="Run talk").click()
    page.wait_for_url("**/executions/*/")
    made = Execution(steps.place, steps.api, page.url.split("/")[-2])
    assert made.get()["parameters"] == {"lines": 7, "mood": "loud", "loudly": False}
    made.wait("complete")


def test_the_form_writes_the_same_as_a_command(person: Person, steps: Project) -> None:
    page = person.go(f"/projects/{steps.id}/new/?step=talk")
    command = page.locator(".new-run .copy pre")
    expect(command).to_have_text(f"vh exec run talk \\\n  --commit={steps.head[:12]}")
    page.get_by_label("lines").fill("12")
    expect(command).to_contain_text("--lines=12")
    page.get_by_label("on", exact=True).check()
    expect(command).to_contain_text("--loudly=true")


def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(
    person: Person, steps: Project
) -> None:
    page = person.go(f"/projects/{steps.id}/new/?step=talk")
    page.locator("form.new-run").evaluate("form => { form.noValidate = true }")
    page.get_by_label("lines").fill("0")
    page.get_by_role("button", name="Run talk").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was run")
    expect(page.get_by_label("lines")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("lines")).to_have_value("0")


def test_an_input_is_chosen_from_the_data_of_the_project(person: Person, trained: Trained) -> None:
    page = person.go(trained.paths["new-run"])
    address = f"datum://{trained.datum_id}"
    page.get_by_label("A file of this project for digits").select_option(value=address)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_label("digits", exact=True)).to_have_value(address)
    expect(page.locator(".new-run .copy pre")).to_contain_text(f"--digits={address}")


def test_a_copy_can_be_changed_before_it_runs(person: Person, trained: Trained) -> None:
    page = person.go(trained.paths["execution"])
    page.get_by_role("link", name="Change and run").click()
    expect(page.get_by_label("epochs")).to_have_value("12")
    expect(page.get_by_label("digits", exact=True)).to_have_value(f"datum://{trained.datum_id}")


def test_the_environment_says_its_present_wait(person: Person, steps: Project) -> None:
    page = person.go(f"/projects/{steps.id}/new/")
    expect(page.get_by_label("Environment")).to_contain_text("This machine")
