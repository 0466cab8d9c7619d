"""What the local store promises beyond the contract: its signed paths and its uploads."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from control.domain.errors import Forbidden, PermanentError, TemporaryError
from control.plugins.stores.local import LocalStore
from control.plugins.stores.upload import INCOMING, Upload, explain_write_error

NOW = 1_900_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", b"k" * 32, clock=lambda: NOW)


def parts(url: str) -> tuple[str, dict[str, str]]:
    split = urlsplit(url)
    return split.path.removeprefix("/store/"), dict(parse_qsl(split.query))


def test_a_signed_upload_says_what_it_allows(store: LocalStore) -> None:
    request = store.put_url("a/b.txt", ttl_s=60, size_bytes=7)
    key, query = parts(request.url)
    grant = store.verify("PUT", key, query, NOW)
    assert (grant.key, grant.size_bytes, grant.expires_at) == ("a/b.txt", 7, NOW + 60)
    assert request.headers["Content-Length"] == "7"


def test_a_signed_download_keeps_the_file_name(store: LocalStore) -> None:
    key, query = parts(store.get_url("a/b", ttl_s=60, file_name="ä report?.pdf"))
    assert store.verify("GET", key, query, NOW).file_name == "ä report?.pdf"
    assert store.verify("HEAD", key, query, NOW).key == "a/b"


def test_a_file_name_can_not_hold_a_path_or_a_line_end(store: LocalStore) -> None:
    key, query = parts(store.get_url("a", ttl_s=60, file_name="../x\r\nSet-Cookie: y"))
    assert store.verify("GET", key, query, NOW).file_name == ".._x__Set-Cookie: y"


def test_an_address_ends_with_its_time(store: LocalStore) -> None:
    key, query = parts(store.get_url("a", ttl_s=60))
    store.verify("GET", key, query, NOW + 59)
    with pytest.raises(Forbidden, match="expired"):
        store.verify("GET", key, query, NOW + 60)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"expires": "1999999999"}, id="a-later-end"),
        pytest.param({"size": "8"}, id="another-size"),
        pytest.param({"name": "other"}, id="a-file-name"),
        pytest.param({"signature": "0" * 64}, id="another-signature"),
        pytest.param({"signature": "ä\ud800"}, id="a-signature-that-is-no-text"),
        pytest.param({"expires": "soon"}, id="no-number"),
    ],
)
def test_a_changed_address_is_refused(store: LocalStore, change: dict[str, str]) -> None:
    key, query = parts(store.put_url("a", ttl_s=60, size_bytes=7).url)
    with pytest.raises(Forbidden, match="not valid"):
        store.verify("PUT", key, query | change, NOW)


@pytest.mark.parametrize("missing", ["expires", "size", "signature"])
def test_an_address_without_a_part_is_refused(store: LocalStore, missing: str) -> None:
    key, query = parts(store.put_url("a", ttl_s=60, size_bytes=7).url)
    del query[missing]
    with pytest.raises(Forbidden):
        store.verify("PUT", key, query, NOW)


def test_an_address_is_for_one_key_and_one_method(store: LocalStore) -> None:
    key, query = parts(store.get_url("a", ttl_s=60))
    for method, other in (("PUT", key), ("DELETE", key), ("GET", "b"), ("GET", "../a")):
        with pytest.raises(Forbidden):
            store.verify(method, other, query, NOW)


def test_another_key_signs_nothing_for_us(store: LocalStore, tmp_path: Path) -> None:
    stranger = LocalStore(tmp_path / "other", b"x" * 32, clock=lambda: NOW)
    key, query = parts(stranger.get_url("a", ttl_s=60))
    with pytest.raises(Forbidden):
        store.verify("GET", key, query, NOW)


def test_a_short_signing_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        LocalStore(tmp_path, b"short")


@pytest.mark.parametrize("body", [b"12345", b"123456789"])
def test_an_upload_of_another_size_leaves_nothing(store: LocalStore, body: bytes) -> None:
    def send() -> None:
        with store.begin_upload("a/b", 7) as upload:
            upload.write(body)
            upload.commit()

    with pytest.raises(PermanentError, match="bytes"):
        send()
    assert store.stat("a/b") is None
    assert left_aside(store) == []


def test_an_upload_that_breaks_off_leaves_nothing(store: LocalStore) -> None:
    with store.begin_upload("a", 7) as upload:
        upload.write(b"1234567")
        assert store.stat("a") is None
    assert store.stat("a") is None
    assert left_aside(store) == []


def test_of_two_uploads_of_one_key_the_second_is_refused(store: LocalStore) -> None:
    with store.begin_upload("a", 1) as first, store.begin_upload("a", 1) as second:
        first.write(b"1")
        second.write(b"2")
        first.commit()
        with pytest.raises(PermanentError, match="already"):
            second.commit()
    assert store.get("a") == b"1"
    assert left_aside(store) == []


def test_a_repeated_upload_of_the_same_bytes_is_fine(store: LocalStore) -> None:
    for _ in range(2):
        with store.begin_upload("a", 1) as upload:
            upload.write(b"1")
            upload.commit()
    assert store.get("a") == b"1"


def test_a_key_can_not_be_both_an_object_and_the_start_of_others(store: LocalStore) -> None:
    store.put("a/b", b"1")
    with pytest.raises(PermanentError):
        store.put("a", b"1")
    with pytest.raises(PermanentError):
        store.put("a/b/c", b"1")
    with pytest.raises(PermanentError):
        store.get("a")
    assert store.stat("a") is None
    store.delete("a")
    assert store.get("a/b") == b"1"


def test_a_full_disk_is_said_in_words_and_leaves_nothing(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("control.plugins.stores.upload.os.fsync", full)
    with pytest.raises(TemporaryError, match="disk is full"):
        store.put("a", b"1")
    monkeypatch.undo()
    assert store.stat("a") is None
    assert left_aside(store) == []


def test_a_folder_that_can_not_be_written_is_permanent() -> None:
    error = explain_write_error(PermissionError(errno.EACCES, "Permission denied"))
    assert isinstance(error, PermanentError)
    assert "Permission denied" in str(error)


def test_an_address_that_is_no_folder_is_refused() -> None:
    for url in ("file://host/folder", "http://host/", "file:"):
        with pytest.raises(PermanentError):
            LocalStore.from_url(url, options={"signing_key": "11" * 32})
    with pytest.raises(PermanentError, match="signing key"):
        LocalStore.from_url("file:///folder", options={})


def test_an_upload_aborts_once_and_again(tmp_path: Path) -> None:
    (tmp_path / INCOMING).mkdir()
    upload = Upload(tmp_path, "a", 1)
    upload.abort()
    upload.abort()
    assert list((tmp_path / INCOMING).iterdir()) == []


def test_what_a_killed_upload_left_goes_after_a_day(store: LocalStore) -> None:
    old, young = store.root / INCOMING / "old", store.root / INCOMING / "young"
    for path, age_s in ((old, 90_000), (young, 80_000)):
        path.touch()
        os.utime(path, (NOW - age_s, NOW - age_s))
    LocalStore(store.root, b"k" * 32, clock=lambda: NOW)
    assert left_aside(store) == [young]


def left_aside(store: LocalStore) -> list[Path]:
    return list((store.root / INCOMING).iterdir())
