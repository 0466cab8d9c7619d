"""Pages that change while they are looked at."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.engines.processes import wait_until
from tests.journey.installation import kill
from tests.journey.project import Project
from tests.web.person import Person


def test_the_status_changes_without_a_reload(person: Person, steps: Project) -> None:
    made = steps.run("wait")
    page = person.go(f"/executions/{made.id}/")
    page.evaluate("window.isTheSamePage = true")
    expect(page.locator(".sentence")).to_contain_text("Running")
    made.wait_for_line("begun")
    made.open_gate()
    expect(page.locator(".sentence")).to_contain_text("Done")
    assert page.evaluate("window.isTheSamePage")


def test_the_list_changes_without_a_reload_and_keeps_what_was_selected(
    person: Person, steps: Project
) -> None:
    made = steps.run("wait")
    counter = made.get()["counter"]
    page = person.go(f"/projects/{steps.id}/executions/")
    page.evaluate("window.isTheSamePage = true")
    row = page.locator(f"#e{counter}")
    expect(row).to_contain_text("Running")
    row.get_by_role("checkbox").check()
    made.wait_for_line("begun")
    made.open_gate()
    expect(row).to_contain_text("Done")
    expect(row.get_by_role("checkbox")).to_be_checked()
    assert page.evaluate("window.isTheSamePage")


def test_a_new_execution_appears_in_the_list(person: Person, steps: Project) -> None:
    page = person.go(f"/projects/{steps.id}/executions/")
    page.wait_for_load_state("load")
    made = steps.run("talk", parameters={"lines": 1})
    expect(page.locator(f"#e{made.get()['counter']}")).to_be_visible()
    made.wait("complete")


def test_the_projects_change_without_a_reload(person: Person, steps: Project) -> None:
    page = person.go("/")
    page.evaluate("window.isTheSamePage = true")
    row = page.get_by_role("row").filter(
        has=page.locator(f"a[href='/projects/{steps.id}/executions/']")
    )
    made = steps.run("wait")
    expect(row).to_contain_text("Running")
    expect(row.get_by_role("img")).to_contain_text("Executions a day")
    made.wait_for_line("begun")
    made.open_gate()
    expect(row).to_contain_text("Done")
    assert page.evaluate("window.isTheSamePage")


def test_stopping_from_the_page_stops_it(person: Person, steps: Project) -> None:
    made = steps.run("wait")
    made.wait_for_line("begun")
    page = person.go(f"/executions/{made.id}/")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".sentence")).to_contain_text("Stopped")
    made.wait("stopped")


def test_a_failed_execution_says_why_and_shows_the_line(person: Person, steps: Project) -> None:
    made = steps.run("fail")
    made.wait("error")
    page = person.go(f"/executions/{made.id}/")
    expect(page.locator(".sentence")).to_contain_text("Failed")
    expect(page.locator(".note")).to_contain_text("What next?")
    expect(page.locator(".log")).to_contain_text("ValueError: no such digit")
    page.get_by_role("link", name="First error").click()
    expect(page.locator(".line.marked")).to_contain_text("ValueError")


def test_whoever_watches_a_failure_is_told_what_is_next(person: Person, steps: Project) -> None:
    made = steps.run("doomed")
    page = person.go(f"/executions/{made.id}/")
    page.evaluate("window.isTheSamePage = true")
    expect(page.locator(".metrics-now")).to_contain_text("2")
    tab = page.get_by_role("link", name="Reproduce")
    tab.focus()
    made.open_gate()
    expect(page.locator(".note")).to_contain_text("What next?")
    expect(tab).to_be_focused()
    expect(page.locator("#facts")).to_contain_text("Ended")
    expect(page.locator("#facts")).to_contain_text("Exit status")
    assert page.evaluate("window.isTheSamePage")


def test_the_table_of_metrics_changes_with_the_curves(person: Person, steps: Project) -> None:
    made = steps.run("doomed")
    page = person.go(f"/executions/{made.id}/metrics/")
    page.evaluate("window.isTheSamePage = true")
    cells = page.get_by_role("row", name="loss").get_by_role("cell")
    expect(cells.first).to_have_text("2")
    made.open_gate()
    expect(cells.first).to_have_text("1")
    expect(page.locator("#curves canvas")).to_be_visible()
    assert page.evaluate("window.isTheSamePage")


def test_a_cut_connection_says_so_and_resumes_without_a_gap(person: Person, steps: Project) -> None:
    made = steps.run("wait")
    made.wait_for_line("begun")
    page = person.go(f"/executions/{made.id}/log/")
    page.evaluate("window.isTheSamePage = true")
    expect(page.locator(".log")).to_contain_text("begun")
    server = person.place.child("web")
    kill(server)
    expect(page.locator("[data-offline]")).to_contain_text("connection is lost")
    person.place.wait_for_child("web", other_than=server)
    made.open_gate()
    expect(page.locator(".log")).to_contain_text("done", timeout=60_000)
    expect(page.locator("[data-offline]")).to_be_hidden(timeout=60_000)
    expect(page.locator(".sentence")).to_contain_text("Done", timeout=60_000)
    numbers = page.locator(".log .line b").all_inner_texts()
    assert numbers == [str(at) for at in range(1, len(numbers) + 1)]
    assert page.evaluate("window.isTheSamePage")


def test_selected_executions_are_stopped_together(person: Person, steps: Project) -> None:
    made = [steps.run("wait") for _ in range(2)]
    page = person.go(f"/projects/{steps.id}/executions/")
    for one in made:
        row = page.locator(f"#e{one.get()['counter']}")
        row.get_by_role("checkbox").check()
    page.locator(".chosen").get_by_role("button", name="Stop").click()
    expect(page.locator(".toast").last).to_contain_text("2 executions")
    wait_until(lambda: all(one.status == "stopped" for one in made), what="both stopped")


def test_selected_executions_are_tagged_together(person: Person, steps: Project) -> None:
    made = [steps.run("talk", parameters={"lines": 1}) for _ in range(2)]
    for one in made:
        one.wait("complete")
    page = person.go(f"/projects/{steps.id}/executions/")
    for one in made:
        page.locator(f"#e{one.get()['counter']}").get_by_role("checkbox").check()
    page.get_by_label("Tags to add").fill("baseline, small")
    page.get_by_label("Tags to add").press("Enter")
    expect(page.locator(".toast").last).to_contain_text("Tagged 2 executions")
    assert [one.get()["tags"] for one in made] == [["baseline", "small"]] * 2


def test_what_waits_says_why_in_the_list(person: Person, steps: Project) -> None:
    first = steps.run("wait")
    first.wait_for_line("begun")
    second = steps.run("wait")
    page = person.go(f"/projects/{steps.id}/executions/")
    row = page.locator(f"#e{second.get()['counter']}")
    expect(row).to_contain_text("Next on This machine")
    for one in (first, second):
        one.stop()
        one.wait("stopped")


def test_the_filter_is_in_the_address(person: Person, steps: Project) -> None:
    steps.run("fail").wait("error")
    page = person.go(f"/projects/{steps.id}/executions/")
    page.get_by_text("Status", exact=True).first.click()
    page.get_by_label("Failed").check()
    page.wait_for_url("**/executions/?status=failed")
    expect(page.locator("[data-rows]")).not_to_contain_text("Done")
    page.reload()
    expect(page.locator("[data-rows]")).not_to_contain_text("Done")
    page.go_back()
    expect(page.locator("[data-rows] tr").first).to_be_visible()
