"""Which addresses are taken, and that no password stays in one."""

from __future__ import annotations

import pytest

from control.domain.errors import Invalid
from control.domain.repository_urls import Address, read_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (
            "https://example.org/a.git",
            Address("https://example.org/a.git", "https", "example.org"),
        ),
        (
            " https://ada:s%40cret@example.org:8443/a ",
            Address("https://example.org:8443/a", "https", "example.org:8443", "ada", "s@cret"),
        ),
        (
            "https://token@example.org/a",
            Address("https://example.org/a", "https", "example.org", None, "token"),
        ),
        (
            "git@Example.org:team/a.git",
            Address("git@Example.org:team/a.git", "ssh", "example.org", "git"),
        ),
        (
            "ssh://git@[::1]:22/a.git",
            Address("ssh://git@[::1]:22/a.git", "ssh", "[::1]:22", "git"),
        ),
        ("/srv/code", Address("/srv/code", "file", "")),
        ("file:///srv/code", Address("file:///srv/code", "file", "")),
    ],
)
def test_an_address_is_read(text: str, address: Address) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ext::sh -c id",
        "-upload-pack=id",
        "https://",
        "https://host:port/a",
        "ftp://host/a",
        "a\nb",
        "host",
        "ssh://git:secret@host/a",
        "https://[::1/a",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_address(text)
    assert caught.value.errors[0].field == "repository.url"
    assert "secret" not in str(caught.value)
