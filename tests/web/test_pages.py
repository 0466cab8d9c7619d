"""Every main page: answers, fits, can be used by everybody, and loads nothing from elsewhere."""

from __future__ import annotations

import gzip
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Page, expect

from control.web.assets import FOLDERS, asset
from tests.journey.installation import ROOT, Installation
from tests.web.conftest import Trained, Visitors
from tests.web.person import Person

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SCRIPT_LIMIT_BYTES = 60 * 1024
STYLE_LIMIT_BYTES = 20 * 1024
PAGE_LIMIT_BYTES = 100 * 1024


def faults(page: Page) -> dict[str, str]:
    """What axe-core finds wrong: the fault to the page it was seen on last."""
    page.evaluate(AXE.read_text() + ";0")
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return {
        f"{one['id']}: {node['html'][:200]}": page.url
        for one in found["violations"]
        for node in one["nodes"]
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visitors: Visitors, trained: Trained, scheme: str) -> None:
    # Playwright's own evaluation is let past the policy; the pages are not.
    with visitors(color_scheme=scheme, reduced_motion="reduce") as ada:
        found = faults(ada.go("/sign-in/"))
        ada.sign_in()
        for path in trained.paths.values():
            ada.go(path).wait_for_load_state("load")
            found |= faults(ada.page)
    assert found == {}, "\n".join(found)


@pytest.mark.parametrize("size", ["tiny", "phone"])
def test_no_page_scrolls_sideways(visitors: Visitors, trained: Trained, size: str) -> None:
    with visitors(size=size) as ada:
        ada.sign_in()
        wide = {}
        for name, path in trained.paths.items():
            ada.go(path).wait_for_load_state("load")
            over = ada.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if over > 0:
                wide[name] = over
    assert wide == {}


def test_no_foreign_host_is_asked(visitors: Visitors, trained: Trained) -> None:
    with visitors() as ada:
        ada.sign_in()
        for path in trained.paths.values():
            ada.go(path).wait_for_load_state("load")
        ours = urlsplit(ada.place.url).netloc
        assert ada.hosts - {""} == {ours}


def test_every_page_keeps_to_itself(person: Person, trained: Trained) -> None:
    cookies = {c["name"]: c["value"] for c in person.page.context.cookies()}
    with httpx.Client(base_url=person.place.url, trust_env=False, cookies=cookies) as client:
        for path in trained.paths.values():
            answer = client.get(path)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert 'style="' not in answer.text, path
            assert " onclick=" not in answer.text, path
            assert len(answer.content) <= PAGE_LIMIT_BYTES, path


def test_scripts_and_style_are_light() -> None:
    def weight(files: list[bytes]) -> int:
        return sum(len(gzip.compress(body, 9)) for body in files)

    vendor = [FOLDERS["vendor"] / name for name in ("htmx.min.js", "uPlot.iife.min.js")]
    scripts = [*vendor, *FOLDERS["js"].glob("*.js")]
    assert weight([one.read_bytes() for one in scripts]) <= SCRIPT_LIMIT_BYTES
    styles = [FOLDERS["vendor"] / "uPlot.min.css", *FOLDERS["css"].glob("*.css")]
    assert weight([one.read_bytes() for one in styles]) <= STYLE_LIMIT_BYTES


def test_an_error_page_shows_the_request_id_that_is_in_the_answer(person: Person) -> None:
    answer = person.page.goto(person.place.url + "/nowhere/")
    assert answer is not None
    assert answer.status == 404
    expect(person.page.locator("main")).to_contain_text(answer.headers["x-request-id"])


def test_an_unknown_address_of_the_api_is_answered_as_json(person: Person) -> None:
    answer = person.place.client().get("nowhere/")
    assert answer.status_code == 404
    assert answer.json()["detail"]


def test_the_done_execution_answers_in_the_first_screen(person: Person, trained: Trained) -> None:
    page = person.go(trained.paths["execution"])
    expect(page.locator(".sentence")).to_contain_text("Done")
    expect(page.locator(".sentence")).to_contain_text("stored 3 outputs")
    expect(page.locator(".metrics-now")).to_contain_text("accuracy")
    expect(page.locator(".chart canvas").first).to_be_visible()
    expect(page.get_by_alt_text("confusion.png")).to_be_visible()
    assert page.get_by_alt_text("confusion.png").evaluate("image => image.naturalWidth") > 0


def test_an_output_is_saved_by_its_name(person: Person, trained: Trained) -> None:
    page = person.go(trained.paths["outputs"])
    with page.expect_download() as saved:
        page.get_by_label("Download model.json").click()
    assert saved.value.suggested_filename == "model.json"
    assert saved.value.path().read_bytes() == trained.execution.outputs()["model.json"]


def test_metrics_come_as_csv(person: Person, trained: Trained) -> None:
    page = person.go(trained.paths["metrics"])
    with page.expect_download() as saved:
        page.get_by_role("link", name="CSV").click()
    lines = saved.value.path().read_text().splitlines()
    assert lines[0].startswith("time,epoch,loss,accuracy")
    assert len(lines) == 13


def test_scripts_come_packed_and_are_kept_for_a_year(site: Installation) -> None:
    with httpx.Client(base_url=site.url, trust_env=False) as client:
        answer = client.get(asset("vendor/htmx.min.js"))
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.content == (FOLDERS["vendor"] / "htmx.min.js").read_bytes()
        other = client.get("/static/js/log.js?v=older")
        assert "immutable" not in other.headers["Cache-Control"]
        assert client.get("/static/css/../../visit.py").status_code == 404
        assert client.get("/static/elsewhere/a.js").status_code == 404
