"""The local store's bytes behind their signed addresses."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from control.plugins.stores.local import LocalStore
from control.streams.bytes import StoreDesk
from tests.engines.event_loop import finish


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", b"k" * 32)


class Client:
    """Asks the application as a server would."""

    def __init__(self, application: Starlette) -> None:
        self._application = application

    def ask(self, method: str, url: str, **given: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._application)
            async with httpx.AsyncClient(transport=transport, base_url="http://store") as client:
                return await client.request(method, url, **given)

        return finish(send())

    def get(self, url: str, **given: Any) -> httpx.Response:
        return self.ask("GET", url, **given)


@pytest.fixture
def client(store: LocalStore) -> Client:
    desk = StoreDesk(store)
    route = Route("/store/{key:path}", desk.serve, methods=["GET", "HEAD", "PUT"])
    return Client(Starlette(routes=[route]))


def test_a_signed_address_gives_its_object_and_its_ranges(
    store: LocalStore, client: Client
) -> None:
    store.put("data/a", b"0123456789")
    url = store.get_url("data/a", ttl_s=60)
    assert client.get(url).content == b"0123456789"
    assert client.ask("HEAD", url).headers["content-length"] == "10"
    part = client.get(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert part.headers["content-range"] == "bytes 2-4/10"
    assert client.get(url, headers={"Range": "bytes=-3"}).content == b"789"
    assert client.get(url, headers={"Range": "bytes=10-"}).status_code == 416


@pytest.mark.parametrize("change", [("data/a", "data/b"), ("=", "=0")])
def test_a_changed_address_opens_nothing(
    store: LocalStore, client: Client, change: tuple[str, str]
) -> None:
    store.put("data/a", b"a")
    store.put("data/b", b"b")
    url = store.get_url("data/a", ttl_s=60).replace(*change)
    assert client.get(url).status_code == 403


def test_an_address_ends(
    store: LocalStore, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("data/a", b"a")
    url = store.get_url("data/a", ttl_s=60)
    later = time.time() + 3600
    monkeypatch.setattr("control.streams.bytes.time.time", lambda: later)
    assert client.get(url).status_code == 403


def test_an_upload_of_another_size_is_refused_and_leaves_nothing(
    store: LocalStore, client: Client
) -> None:
    signed = store.put_url("data/new", ttl_s=60, size_bytes=3)
    for wrong in (b"12", b"1234"):
        assert client.ask("PUT", signed.url, content=wrong).status_code in (400, 409)
        assert client.get(store.get_url("data/new", ttl_s=60)).status_code == 404
    assert client.ask("PUT", signed.url, content=b"123").status_code == 201
    assert client.get(signed.url).status_code == 403
    assert client.get(store.get_url("data/new", ttl_s=60)).content == b"123"
