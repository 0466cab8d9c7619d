"""Takes the pictures under docs/pictures/ from a real server: `python -m tests.web.pictures`.

Look at each before it is committed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from control.domain.roles import Caller
from control.services import repositories
from control.services.repositories import RepositoryChange
from tests.engines.clients import CHROMIUM_FLAGS
from tests.fleet import Fleet
from tests.journey.fixtures import installed
from tests.journey.installation import ROOT, Installation
from tests.journey.project import Project
from tests.web.conftest import Trained, train
from tests.web.person import somebody
from tests.web.test_environment import fill

TARGET = ROOT / "docs" / "pictures"
LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", "size": "phone"},
}
MAIN = ("projects", "executions", "execution", "log", "metrics", "new-run", "data", "environment")
TALL = {"execution": 1310}
"""Pages whose picture goes below the first screen at a desk, and how far."""
ADDRESS = "https://git.example.org/vision/digits.git"


def main() -> None:
    """Train the digits a few times, then look at every main page."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with (
        chromium() as browser,
        tempfile.TemporaryDirectory(prefix="talkoot-pictures-") as folder,
        installed(Path(folder)) as site,
    ):
        site.start()
        trained = train(site, epochs=40, name="digits")
        vary(trained.project, trained.datum_id)
        rename(site, trained.project.id)
        for look, options in LOOKS.items():
            take(site, browser, trained, look, options)
        take_groups(site, browser)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser that the tests use."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=list(CHROMIUM_FLAGS)
        )
        yield browser
        browser.close()


def vary(project: Project, datum_id: str) -> None:
    """Run what people run: other parameters, one that is stopped, one that goes wrong."""
    inputs = {"digits": [f"datum://{datum_id}"]}
    for units, rate in ((8, 0.08), (16, 0.08), (64, 0.02)):
        given = {"epochs": 15, "hidden_units": units, "learning_rate": rate}
        project.run("train", inputs=inputs, parameters=given, tags=["width"]).wait("complete")
    broken = {"digits": ["https://127.0.0.1:9/digits.csv.gz"]}
    project.run("train", inputs=broken, title="From the old mirror").wait("error", limit_s=240)
    stopped = project.run("train", inputs=inputs, parameters={"epochs": 500})
    stopped.wait_for_phase("run")
    stopped.stop()
    stopped.wait("stopped")


def take(
    site: Installation, browser: Browser, trained: Trained, look: str, options: dict[str, str]
) -> None:
    """Take the pictures of one look; `running` is of an execution in the middle of its work."""
    inputs = {"digits": [f"datum://{trained.datum_id}"]}
    running = trained.project.run("train", inputs=inputs, parameters={"epochs": 400})
    running.wait_for_phase("run")
    with somebody(site, browser, **options) as ada:
        ada.sign_in()
        page = ada.page
        ada.go(f"/executions/{running.id}/").wait_for_selector(".chart canvas")
        expect(page.locator(".log .line").nth(11)).to_be_visible()
        shoot(page, "running", look)
        for name in MAIN:
            if look != "phone":
                page.set_viewport_size({"width": 1280, "height": TALL.get(name, 800)})
            ada.go(trained.paths[name]).wait_for_load_state("load")
            if name in ("execution", "metrics"):
                page.wait_for_selector(".chart canvas")
            shoot(page, name, look)
    running.stop()
    running.wait("stopped")
    say(look)


def take_groups(site: Installation, browser: Browser) -> None:
    """Take the environment of a cloud and one of its groups, in the middle of a day's work."""
    with site.world() as world, somebody(site, browser) as ada:
        fleet = Fleet(world, "gpu-small")
        fill(fleet)
        ada.sign_in()
        page = ada.go(fleet.path)
        page.wait_for_selector(".chart canvas")
        page.screenshot(path=TARGET / "worker-group-environment.png", full_page=True)
        page.get_by_role("link", name="gpu-small-spot", exact=True).first.click()
        page.wait_for_load_state("load")
        page.screenshot(path=TARGET / "worker-group.png", full_page=True)


def shoot(page: Page, name: str, look: str) -> None:
    """Store one picture; light is the one without a word."""
    ending = "" if look == "light" else f"-{look}"
    page.screenshot(path=TARGET / f"{name}{ending}.png")


def rename(site: Installation, project_id: str) -> None:
    """Show an address that people would have, where the test's own folder stands."""
    with site.world() as world:
        ada = Caller(1, "ada", is_admin=True)
        change = RepositoryChange(url=ADDRESS)
        repositories.set_repository(world, ada, project_id, change, datetime.now(UTC))


def say(look: str) -> None:
    """Tell whoever waits how far it is."""
    sys.stdout.write(f"{datetime.now(UTC):%H:%M:%S} {look}\n")


if __name__ == "__main__":
    main()
