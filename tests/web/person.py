"""Somebody at a browser: signs in, goes places, and notices what should not happen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect

from tests.journey.installation import Installation

LIMIT_MS = 20_000
WIDTHS = {"desk": (1280, 800), "phone": (390, 844), "tiny": (320, 700)}
expect.set_options(timeout=LIMIT_MS)


@dataclass
class Person:
    """A page of a browser context, signed in as `ada` unless said otherwise."""

    place: Installation
    page: Page
    wrong: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def watch(self) -> None:
        """Note script errors, refused loads and every host that is asked."""
        self.page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        self.page.on("console", self._hear)
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _hear(self, message: Any) -> None:
        # A stream that is cut, and the page of an error, are told by the browser too, and a
        # question to a server that is down by htmx.
        expected = ("Failed to load resource", "ERR_", "htmx:sendError", "htmx:afterRequest")
        if message.type == "error" and not any(text in message.text for text in expected):
            self.wrong.append(f"console: {message.text}")

    def go(self, path: str) -> Page:
        self.page.goto(self.place.url + path)
        return self.page

    def sign_in(self, token: str | None = None) -> Page:
        """Come in by a link, as whoever the token belongs to; passwords have tests of their own."""
        answer = self.place.client(token).get("users/login_link/")
        self.go(answer.raise_for_status().json()["url"])
        expect(self.page.get_by_role("heading", name="Projects", exact=True)).to_be_visible()
        return self.page


@contextmanager
def somebody(place: Installation, browser: Browser, **options: Any) -> Iterator[Person]:
    """Lend a browser context: `size` is a key of WIDTHS, the rest is Playwright's.

    Whatever went wrong in a script fails the test at its end.
    """
    width, height = WIDTHS[options.pop("size", "desk")]
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    context.set_default_timeout(LIMIT_MS)
    try:
        person = Person(place, context.new_page())
        person.watch()
        yield person
        assert not person.wrong, "\n".join(person.wrong)
    finally:
        context.close()
