"""Every registered store keeps to the contract."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from control.domain.errors import TalkootError
from control.domain.ports import SignedRequest, Store
from control.plugins.stores.contract import StoreContract
from control.plugins.stores.local import LocalStore
from control.plugins.stores.memory import MemoryStore
from control.plugins.stores.s3 import S3Store
from tests.engines.s3 import S3Server


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore.from_url("memory://", options={})

    def upload(self, store: Store, request: SignedRequest, body: bytes) -> bool:
        assert isinstance(store, MemoryStore)
        try:
            store.accept(request, body)
        except TalkootError:
            return False
        return True

    def download(self, store: Store, url: str) -> bytes:
        assert isinstance(store, MemoryStore)
        return store.fetch(url)


class TestLocalStore(StoreContract):
    """The HTTP server is another room's; here the pieces it is made of."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        options = {"signing_key": "11" * 32, "data_dir": str(tmp_path)}
        return LocalStore.from_url("file:store", options=options)

    def upload(self, store: Store, request: SignedRequest, body: bytes) -> bool:
        assert isinstance(store, LocalStore)
        key, query = _address(store, request.url)
        try:
            grant = store.verify(request.method, key, query, time.time())
            assert grant.size_bytes is not None
            with store.begin_upload(grant.key, grant.size_bytes) as upload:
                upload.write(body)
                upload.commit()
        except TalkootError:
            return False
        return True

    def download(self, store: Store, url: str) -> bytes:
        assert isinstance(store, LocalStore)
        key, query = _address(store, url)
        file, size_bytes = store.open_for_read(store.verify("GET", key, query, time.time()).key)
        with file:
            content = file.read()
        assert len(content) == size_bytes
        return content


class TestS3Store(StoreContract):
    @pytest.fixture
    def store(self, s3_server: S3Server) -> S3Store:
        # A bucket each: an S3 server keeps what a test before this one put.
        place = f"s3://{s3_server.make_bucket()}/some/prefix"
        url = f"{place}?endpoint={s3_server.endpoint}&region={s3_server.region}"
        keys = {
            "AWS_ACCESS_KEY_ID": s3_server.access_key,
            "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
        }
        return S3Store.from_url(url, options=keys)

    @pytest.fixture(autouse=True)
    def _server(self, s3_server: S3Server) -> None:
        self.server = s3_server

    def let_pages_in(self, store: Store, origin: str) -> None:
        self.server.let_pages_in(urlsplit(store.uri_prefix).netloc, origin)


def _address(store: LocalStore, url: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(url)
    assert parts.path.startswith(store.path_prefix)
    return unquote(parts.path.removeprefix(store.path_prefix)), dict(parse_qsl(parts.query))
