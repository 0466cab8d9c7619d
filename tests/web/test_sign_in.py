"""Getting in, staying in, getting out."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Page, expect

from control.web.visit import safe_next
from tests.journey.installation import Installation
from tests.web.conftest import PASSWORD, Trained, Visitors
from tests.web.person import Person


def test_a_stranger_is_sent_to_sign_in_and_then_where_they_wanted_to_go(
    visitors: Visitors, trained: Trained
) -> None:
    with visitors() as stranger:
        page = stranger.go(trained.paths["metrics"])
        page.get_by_label("User name").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(stranger.place.url + trained.paths["metrics"])


def test_a_wrong_password_says_so_and_lets_nobody_in(visitors: Visitors) -> None:
    with visitors() as stranger:
        page = stranger.go("/sign-in/")
        page.get_by_label("User name").fill("ada")
        page.get_by_label("Password").fill("not this one")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("wrong")
        expect(page.get_by_label("User name")).to_have_value("ada")
        expect(page.get_by_label("Password")).to_be_focused()


def test_a_sign_in_link_works_once(site: Installation, visitors: Visitors) -> None:
    link = site.client().get("users/login_link/").raise_for_status().json()["url"]
    with visitors() as first:
        expect(first.go(link).get_by_role("heading", name="Projects", exact=True)).to_be_visible()
        # Whoever came in by it and follows it again goes on.
        expect(first.go(link).get_by_role("heading", name="Projects", exact=True)).to_be_visible()
    with visitors() as second:
        expect(second.go(link).get_by_role("alert")).to_contain_text("used")


def test_signing_out_ends_the_session_on_the_server_too(person: Person) -> None:
    cookies = {c["name"]: c["value"] for c in person.page.context.cookies()}
    session = {"talkoot_session": cookies["talkoot_session"]}
    person.page.get_by_text("Signed in as ada").click(force=True)
    person.page.get_by_role("button", name="Sign out").click()
    expect(person.page.get_by_role("heading", name="Sign in")).to_be_visible()
    with httpx.Client(base_url=person.place.url, trust_env=False, cookies=session) as client:
        assert client.get("/").status_code == 302


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(person: Person) -> None:
    cookie = next(c for c in person.page.context.cookies() if c["name"] == "talkoot_session")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"


def test_a_token_is_shown_once_and_works(page: Page, person: Person) -> None:
    person.go("/auth/tokens/")
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Make the token").click()
    secret = page.locator(".copy pre").first.inner_text()
    answer = person.place.client(secret).get("users/me/")
    assert answer.json()["username"] == "ada"
    page.goto(person.place.url + "/auth/tokens/")
    assert secret not in page.content()
    row = page.get_by_role("row", name="laptop")
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row).to_have_count(0)


def test_a_form_without_its_csrf_value_changes_nothing(person: Person) -> None:
    cookies = {c["name"]: c["value"] for c in person.page.context.cookies()}
    with httpx.Client(base_url=person.place.url, trust_env=False, cookies=cookies) as client:
        answer = client.post("/projects/new/", data={"name": "smuggled"})
        assert answer.status_code == 403
        assert "smuggled" not in client.get("/").text


def test_a_form_from_another_site_is_refused(site: Installation) -> None:
    with httpx.Client(base_url=site.url, trust_env=False) as client:
        form = {"username": "ada", "password": PASSWORD}
        origin = {"Origin": "https://elsewhere.example"}
        answer = client.post("/sign-in/", data=form, headers=origin)
    assert answer.status_code == 403
    assert "talkoot_session" not in answer.cookies


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/projects/", "/projects/"),
        ("/executions/?status=done#L3", "/executions/?status=done#L3"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example/", "/"),
        ("/\\elsewhere.example/", "/"),
        ("/ok\\..\\x", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\nb", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_nobody_is_sent_to_another_host(target: str | None, expected: str) -> None:
    assert safe_next(target) == expected


def test_another_persons_project_does_not_exist(
    site: Installation, visitors: Visitors, trained: Trained
) -> None:
    site.talkoot("admin", "user", "add", "bob", "--password-stdin", text=PASSWORD)
    token = site.talkoot("admin", "token", "add", "bob")
    with visitors() as bob:
        bob.sign_in(token)
        for name in ("executions", "execution", "log", "outputs", "settings", "datum"):
            page = bob.go(trained.paths[name])
            expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
