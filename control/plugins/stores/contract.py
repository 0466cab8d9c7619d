"""What every store must keep to. Subclass it, give a `store` fixture, and run it with pytest."""

from __future__ import annotations

import secrets
from pathlib import Path

import httpx
import pytest

from control.domain.errors import PermanentError, TalkootError
from control.domain.ports import SignedRequest, Store, StoredObject

BAD_KEYS = (
    "", "/a", "a/", "a//b", "..", "a/../b", "./a", "a b", "a\\b", "a\n", "ä", "a?b", "a~",
    "%2e%2e/a", "a" * 256, "a/" * 600 + "a",
)  # fmt: skip
WORDS = r"\w+ \w+"  # an error has words for people


class StoreContract:
    """The tests. `upload` and `download` stand for an agent or a browser; the default is HTTP."""

    def upload(self, store: Store, request: SignedRequest, body: bytes) -> bool:
        """Send `body` as the request says; answer whether it was taken."""
        del store
        answer = httpx.request(
            request.method, request.url, headers=dict(request.headers), content=body
        )
        return answer.is_success

    def download(self, store: Store, url: str) -> bytes:
        """Read what the address gives."""
        del store
        return httpx.get(url).raise_for_status().content

    def let_pages_in(self, store: Store, origin: str) -> None:
        """Let pages of `origin` upload, where that is for others to say."""

    def test_what_was_put_can_be_read(self, store: Store) -> None:
        key = new_key()
        store.put(key, b"some bytes")
        assert store.get(key) == b"some bytes"
        assert store.stat(key) == StoredObject(key, 10)

    def test_an_empty_object_is_an_object(self, store: Store) -> None:
        key = new_key()
        store.put(key, b"")
        assert store.get(key) == b""
        assert store.stat(key) == StoredObject(key, 0)

    def test_a_file_can_be_put(self, store: Store, tmp_path: Path) -> None:
        source, key = tmp_path / "source", new_key()
        source.write_bytes(b"x" * 3_000_000)
        store.put(key, source)
        assert store.get(key) == source.read_bytes()

    def test_a_missing_object_is_refused_by_name(self, store: Store) -> None:
        key = new_key()
        assert store.stat(key) is None
        with pytest.raises(PermanentError, match=key):
            store.get(key)

    def test_other_bytes_never_replace_an_object(self, store: Store) -> None:
        key = new_key()
        store.put(key, b"first")
        for other in (b"other", b"longer than that", b""):
            with pytest.raises(TalkootError, match=WORDS):
                store.put(key, other)
        assert store.get(key) == b"first"

    def test_the_same_bytes_can_be_put_again(self, store: Store) -> None:
        key = new_key()
        store.put(key, b"first")
        store.put(key, b"first")
        assert store.get(key) == b"first"

    def test_a_deleted_object_is_gone_and_deleting_it_again_is_silent(self, store: Store) -> None:
        key = new_key()
        store.put(key, b"x")
        store.delete(key)
        store.delete(key)
        assert store.stat(key) is None
        store.put(key, b"y")
        assert store.get(key) == b"y"

    def test_a_list_is_in_key_order_and_by_prefix(self, store: Store) -> None:
        top = new_key()
        names = ("a-b", "a/b", "a/c/d", "a0", "ab", "b")
        for name in reversed(names):
            store.put(f"{top}/{name}", name.encode())
        listed = list(store.list(f"{top}/"))
        assert [found.key for found in listed] == [f"{top}/{name}" for name in names]
        assert [found.size_bytes for found in listed] == [len(name) for name in names]
        assert [found.key for found in store.list(f"{top}/a/")] == [f"{top}/a/b", f"{top}/a/c/d"]
        assert len(list(store.list(f"{top}/a"))) == 5
        assert [found.key for found in store.list(f"{top}/a/c/d")] == [f"{top}/a/c/d"]
        assert list(store.list(f"{top}/nothing/")) == []

    def test_a_list_without_a_prefix_holds_what_was_put(self, store: Store) -> None:
        key = new_key()
        store.put(key, b"x")
        assert key in {found.key for found in store.list("")}

    def test_a_key_that_could_leave_the_store_is_refused(self, store: Store) -> None:
        for key in BAD_KEYS:
            for verb in (store.get, store.stat, store.delete):
                with pytest.raises(TalkootError, match=WORDS):
                    verb(key)
            with pytest.raises(TalkootError, match=WORDS):
                store.put(key, b"x")
            with pytest.raises(TalkootError, match=WORDS):
                store.put_url(key, ttl_s=60, size_bytes=1)
            with pytest.raises(TalkootError, match=WORDS):
                store.get_url(key, ttl_s=60)
        with pytest.raises(TalkootError, match=WORDS):
            list(store.list("../"))

    def test_a_signed_upload_can_be_downloaded_by_a_signed_address(self, store: Store) -> None:
        key = new_key()
        body = secrets.token_bytes(100_000)
        request = store.put_url(key, ttl_s=60, size_bytes=len(body))
        assert self.upload(store, request, body)
        assert store.get(key) == body
        assert self.download(store, store.get_url(key, ttl_s=60, file_name="ä b.bin")) == body

    def test_a_signed_upload_never_replaces_an_object(self, store: Store) -> None:
        key = new_key()
        store.put(key, b"first")
        assert not self.upload(store, store.put_url(key, ttl_s=60, size_bytes=5), b"other")
        assert store.get(key) == b"first"

    def test_a_healthy_store_passes_its_check_and_keeps_nothing_of_it(self, store: Store) -> None:
        store.check()
        assert list(store.list("talkoot-check/")) == []

    def test_an_upload_from_a_page_is_answered_for(self, store: Store) -> None:
        self.let_pages_in(store, "https://talkoot.example.org")
        store.check_pages("https://talkoot.example.org")

    def test_an_address_begins_with_the_prefix(self, store: Store) -> None:
        assert "://" in store.uri_prefix
        assert store.uri_prefix.endswith("/")


def new_key() -> str:
    """Make a key that no other test has."""
    return f"contract/{secrets.token_hex(8)}"
