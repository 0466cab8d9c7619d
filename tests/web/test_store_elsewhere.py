"""Pages whose store is another host: what the bucket must allow, and what is said when not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.engines.s3 import S3Server
from tests.journey.fixtures import installed
from tests.journey.installation import Installation
from tests.journey.project import make_project, step
from tests.web.person import somebody


@pytest.fixture
def place(tmp_path: Path, s3_server: S3Server) -> Iterator[Installation]:
    environment = {
        "STORE_URL": f"s3://{s3_server.make_bucket()}/talkoot?endpoint={s3_server.endpoint}",
        "AWS_ACCESS_KEY_ID": s3_server.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
        "AWS_REGION": s3_server.region,
    }
    with installed(tmp_path, environment) as place:
        place.environment["TALKOOT_PUBLIC_URL"] = place.url
        place.start()
        yield place


def doctors_words(place: Installation) -> str:
    [line] = [one for one in place.talkoot("doctor").splitlines() if "page uploads" in one]
    return line


def test_a_page_uploads_to_a_bucket_once_the_bucket_allows_it(
    place: Installation, browser: Browser, s3_server: S3Server, tmp_path: Path
) -> None:
    bucket = urlsplit(place.environment["STORE_URL"]).netloc
    project = make_project(place, step("train", "true"))
    file = tmp_path / "scores.csv"
    file.write_text("name,score\nada,1\n")
    with somebody(place, browser) as person:
        page = person.sign_in()
        person.go(f"/projects/{project.id}/data/")
        page.get_by_label("File to store").set_input_files(file)
        page.get_by_role("button", name="Upload").click()
        expect(page.locator(".toast")).to_contain_text("does not let this page upload")
        # The browser says so itself, too; anything else that goes wrong still fails the test.
        assert all("CORS policy" in one for one in person.wrong), person.wrong
        person.wrong.clear()
        assert f"takes no upload from {place.url}" in doctors_words(place)
        assert project.api.get("data/", params={"project": project.id}).json()["results"] == []

        s3_server.let_pages_in(bucket, place.url)
        assert doctors_words(place).endswith("allowed")
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_role("link", name=file.name, exact=True)).to_be_visible()
        page.get_by_role("link", name=file.name, exact=True).click()
        expect(page.get_by_role("cell", name="ada")).to_be_visible()
