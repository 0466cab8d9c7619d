"""A project's settings."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.journey.project import Project
from tests.web.person import Person

SENT = """form => form.dispatchEvent(new SubmitEvent("submit", {
  bubbles: true, cancelable: true, submitter: form.querySelector("button.primary")
}))"""
"""Submits a form as a click does, but for the request: whether it would be sent."""


def link(person: Person, project: Project, name: str, address: str) -> Page:
    """Make a project and link its repository."""
    made = project.api.post("projects/", json={"name": name})
    page = person.go(f"/projects/{made.raise_for_status().json()['id']}/settings/")
    page.get_by_label("Address").fill(address)
    page.get_by_role("button", name="Save the repository").click()
    return page


def test_a_repository_that_is_not_there_is_said_when_it_is_saved(
    person: Person, steps: Project
) -> None:
    page = link(person, steps, "lost", "/nowhere/at/all")
    expect(page.get_by_role("alert")).to_contain_text("It cannot be fetched")
    expect(page.get_by_label("Address")).to_have_value("/nowhere/at/all")


def test_a_deploy_key_is_to_be_added_before_the_fetch(person: Person, steps: Project) -> None:
    page = link(person, steps, "private", "git@127.0.0.1:vision/digits.git")
    expect(page.locator(".toast")).to_contain_text("Add the deploy key below")
    expect(page.locator("#repository pre")).to_contain_text("ssh-ed25519")


def test_a_form_is_sent_once_however_often_it_is_clicked(person: Person, steps: Project) -> None:
    page = person.go(f"/projects/{steps.id}/new/?step=talk")
    form = page.locator("form.new-run")
    assert [form.evaluate(SENT), form.evaluate(SENT)] == [True, False]
    expect(form.get_by_role("button", name="Run talk")).to_have_attribute("aria-busy", "true")
