from __future__ import annotations

import os
from pathlib import Path

from agent.cache import Cache, key_of


def fill(cache: Cache, name: str, size: int, used_at: int) -> str:
    key = key_of(name, None)
    draft = cache.draft(key)
    draft.write_bytes(b"x" * size)
    cache.keep(key, draft, {})
    os.utime(cache.folder / key[-2:] / f"{key}.json", (used_at, used_at))
    return key


def go_on() -> None:
    """Nothing ends the wait."""


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, quota_bytes=250)
    old, young = fill(cache, "a", 100, 1), fill(cache, "b", 100, 2)
    newest = fill(cache, "c", 100, 3)
    cache.make_room(0)
    assert [cache.find(key) is not None for key in (old, young, newest)] == [False, True, True]


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path, quota_bytes=150)
    old = fill(cache, "a", 100, 1)
    young = key_of("b", None)
    with cache.flight(young, go_on):
        with cache.flight(old, go_on):
            fill(cache, "b", 100, 2)
            assert cache.find(old) is not None
        cache.make_room(0)
        assert cache.find(old) is None
        assert cache.find(young) is not None


def test_a_download_that_was_broken_off_gives_way_as_well(tmp_path: Path) -> None:
    cache = Cache(tmp_path, quota_bytes=150)
    draft = cache.draft(key_of("a", None))
    draft.write_bytes(b"x" * 100)
    with cache.flight(key_of("a", None), go_on):
        cache.make_room(100)
        assert draft.exists()
    cache.make_room(100)
    assert not draft.exists()


def test_an_attempt_keeps_its_file_when_the_entry_goes(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", quota_bytes=1000)
    key = fill(cache, "a", 10, 1)
    entry = cache.find(key)
    assert entry is not None
    for _ in range(2):
        cache.place(entry, tmp_path / "in" / "a")
    cache.clear()
    assert cache.find(key) is None
    assert (tmp_path / "in" / "a").read_bytes() == b"x" * 10
    assert [one.name for one in (tmp_path / "in").iterdir()] == ["a"]


def test_content_that_is_known_is_the_key() -> None:
    assert key_of("datum://a", "abc") == key_of("datum://b", "abc")
    assert key_of("http://a", None) != key_of("http://b", None)
