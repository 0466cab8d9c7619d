"""Files: sent straight to the store, looked into, deleted."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from playwright.sync_api import expect

from tests.journey.project import Project
from tests.web.conftest import Trained
from tests.web.person import Person


def test_files_go_straight_to_the_store(person: Person, steps: Project, tmp_path: Path) -> None:
    # 55 to 65 bytes cross the edges of a block of SHA-256; five MiB cross those of a piece.
    sizes = (0, 55, 56, 63, 64, 65, 5 * 2**20 + 7)
    files = [tmp_path / f"{size}-bytes.bin" for size in sizes]
    for size, file in zip(sizes, files, strict=True):
        file.write_bytes((b"0123456789abcdef" * (size // 16 + 1))[:size])
    page = person.go(f"/projects/{steps.id}/data/")
    posts: list[str] = []
    page.on("request", lambda one: posts.append(one.url) if one.method == "POST" else None)
    page.get_by_label("File to store").set_input_files(files)
    page.get_by_role("button", name="Upload").click()
    for file in files:
        expect(page.get_by_role("link", name=file.name, exact=True)).to_be_visible()
    assert all("/api/v0/data/" in url for url in posts)
    listed = steps.api.get("data/", params={"project": steps.id}).json()["results"]
    sums = {one["name"]: one["sha256"] for one in listed}
    for file in files:
        assert sums[file.name] == sha256(file.read_bytes()).hexdigest()


def test_a_table_is_looked_into(person: Person, steps: Project, tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    file.write_text("name,score\nada,<b>1</b>\n")
    page = person.go(f"/projects/{steps.id}/data/")
    page.get_by_label("File to store").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("link", name="scores.csv", exact=True).click()
    expect(page.get_by_role("cell", name="<b>1</b>")).to_be_visible()
    expect(page.locator(".copy pre")).to_contain_text("datum://")


def test_an_uploaded_page_runs_no_script_here(
    person: Person, steps: Project, tmp_path: Path
) -> None:
    file = tmp_path / "evil.html"
    file.write_text("<script>document.title = 'taken'</script>")
    page = person.go(f"/projects/{steps.id}/data/")
    page.get_by_label("File to store").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    with page.expect_download() as saved:
        page.get_by_label("Download evil.html").click()
    assert saved.value.suggested_filename == "evil.html"
    assert page.title() != "taken"


def test_the_bytes_are_deleted_after_one_question(
    person: Person, steps: Project, tmp_path: Path
) -> None:
    file = tmp_path / "old.txt"
    file.write_text("old")
    page = person.go(f"/projects/{steps.id}/data/")
    page.get_by_label("File to store").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("link", name="old.txt", exact=True).click()
    page.get_by_role("button", name="Delete the bytes").click()
    expect(page.get_by_role("dialog")).to_contain_text("old.txt")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Delete the bytes")).to_be_visible()
    page.get_by_role("button", name="Delete the bytes").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the bytes").click()
    expect(page.locator(".toast")).to_contain_text("Deleted the bytes of old.txt")


def test_a_file_says_which_executions_used_it(person: Person, trained: Trained) -> None:
    page = person.go(trained.paths["datum"])
    counter = trained.execution.get()["counter"]
    row = page.get_by_role("row").filter(has_text="Done")
    row.get_by_role("link", name=f"#{counter} train").click()
    page.wait_for_url(f"**{trained.paths['execution']}")
