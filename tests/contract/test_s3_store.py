"""What the S3 store must withstand beyond the contract, against a real server."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from control.domain.errors import PermanentError, TemporaryError
from control.plugins.stores import s3
from control.plugins.stores.s3 import S3Store
from tests.engines.s3 import S3Server


def make(server: S3Server, bucket: str, **options: str) -> S3Store:
    keys = {
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        **options,
    }
    return S3Store.from_url(f"s3://{bucket}?endpoint={server.endpoint}", options=keys)


def test_a_large_file_goes_up_in_parts(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_MULTIPART_BYTES", 6 << 20)
    store, source = make(s3_server, s3_server.make_bucket()), tmp_path / "source"
    source.write_bytes(bytes(range(256)) * (13 << 12))
    store.put("large", source)
    store.put("large", source)
    assert store.get("large") == source.read_bytes()
    source.write_bytes(b"x" * (7 << 20))
    with pytest.raises(PermanentError, match="already"):
        store.put("large", source)


def test_a_browser_saves_a_download_under_its_name(s3_server: S3Server) -> None:
    store = make(s3_server, s3_server.make_bucket())
    store.put("a", b"1")
    url = store.get_url("a", ttl_s=60, file_name="ä report.pdf")
    disposition = httpx.get(url).headers["content-disposition"]
    assert disposition == "attachment; filename*=UTF-8''%C3%A4%20report.pdf"


def test_the_size_of_an_upload_is_signed(s3_server: S3Server) -> None:
    store = make(s3_server, s3_server.make_bucket())
    request = store.put_url("a", ttl_s=60, size_bytes=7)
    [names] = parse_qs(urlsplit(request.url).query)["X-Amz-SignedHeaders"]
    assert names == "content-length;host;if-none-match"


def test_a_bucket_without_rules_for_pages_is_told_from_one_with_other_rules_and_a_good_one(
    s3_server: S3Server,
) -> None:
    bucket = s3_server.make_bucket()
    store = make(s3_server, bucket)
    ours, others = "https://talkoot.example.org", "https://other.example.org"
    with pytest.raises(PermanentError, match=ours):
        store.check_pages(ours)
    s3_server.let_pages_in(bucket, others)
    with pytest.raises(PermanentError, match=ours):
        store.check_pages(ours)
    s3_server.let_pages_in(bucket, ours)
    store.check_pages(ours)


def test_no_secret_is_in_an_address_or_a_prefix(s3_server: S3Server) -> None:
    store = make(s3_server, s3_server.make_bucket())
    shown = f"{store.put_url('a', ttl_s=60, size_bytes=7)} {store.uri_prefix}"
    assert s3_server.secret_key not in shown


def test_a_bucket_that_is_not_there_is_said_so(s3_server: S3Server) -> None:
    store = make(s3_server, "talkoot-no-such-bucket")
    with pytest.raises(PermanentError, match="bucket"):
        store.check()


def test_an_endpoint_that_nobody_answers_is_temporary_and_found_within_ten_seconds() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"s3://bucket?endpoint=http://127.0.0.1:{unused.getsockname()[1]}"
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "hidden-secret"}
        begin = time.monotonic()
        with pytest.raises(TemporaryError, match="does not answer") as caught:
            S3Store.from_url(url, options=keys).check()
        assert time.monotonic() - begin < 10
        assert "hidden-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///key",
        "https://bucket",
        "s3://user:secret@bucket",
        "s3://b?unknown=1",
        "s3://b/../x",
    ],
)
def test_what_is_no_address_of_a_bucket_is_refused(url: str) -> None:
    with pytest.raises(PermanentError) as caught:
        S3Store.from_url(url, options={})
    assert "secret" not in str(caught.value)
