"""What is read from a package, and every kind of package that is refused."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from collections.abc import Callable

import pytest

from control.domain.archives import ArchiveLimits, inspect_archive
from control.domain.errors import Invalid

SMALL = ArchiveLimits(
    member_count=10, unpacked_bytes=200_000, ratio=50, ratio_from_bytes=100_000, yaml_bytes=1000
)
YAML = b"- step:\n    name: train\n"


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    made.linkname = link
    return made


def packed(*members: tarfile.TarInfo | tuple[str, bytes], level: int = 9) -> bytes:
    return gzip.compress(tar(*members), compresslevel=level, mtime=0)


def tar(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for one in members:
            if isinstance(one, tuple):
                made = member(one[0])
                made.size = len(one[1])
                archive.addfile(made, io.BytesIO(one[1]))
            else:
                archive.addfile(one)
    return buffer.getvalue()


def inspect(data: bytes, limits: ArchiveLimits = SMALL, yaml_path: str = "valohai.yaml"):
    return inspect_archive(io.BytesIO(data), limits, yaml_path=yaml_path)


def link(name: str, target: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, target)


def test_a_package_is_read_to_its_end() -> None:
    facts = inspect(packed(("train.py", b"print(1)"), ("valohai.yaml", YAML), ("z/a", b"")))
    assert (facts.member_count, facts.unpacked_bytes, facts.yaml) == (3, 8 + len(YAML), YAML)


def test_a_package_without_the_configuration_says_none() -> None:
    assert inspect(packed(("sub/valohai.yaml", YAML))).yaml is None


@pytest.mark.parametrize("path", ["sub/dir/v.yaml", "./sub/dir/v.yaml", "sub//dir/v.yaml"])
def test_the_configuration_may_lie_elsewhere(path: str) -> None:
    assert inspect(packed(("sub/dir/v.yaml", YAML)), yaml_path=path).yaml == YAML


def test_folders_and_links_within_the_tree_are_fine() -> None:
    facts = inspect(
        packed(
            member(".", tarfile.DIRTYPE),
            member("a", tarfile.DIRTYPE),
            ("a/b", b"1"),
            link("a/c", "b"),
            link("a/d", "../e/f"),
            link("g", "a/c"),
            member("h", tarfile.LNKTYPE, "a/b"),
            ("./e/f", b"2"),
        )
    )
    assert facts.member_count == 8


def test_a_long_name_is_fine_and_a_longer_one_is_not() -> None:
    assert inspect(packed(("d/" * 100 + "x" * 200, b"1"))).member_count == 1
    assert "too long" in refusal_of(packed(("x" * 256, b"1")))
    assert "too long" in refusal_of(packed(("d/" * 600 + "x", b"1")))


def test_a_name_that_is_no_text_is_shown_as_it_can_be() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(member("a\udcff"))
        archive.addfile(member("a\udcff"))
    message = refusal_of(gzip.compress(buffer.getvalue()))
    assert "twice" in message
    assert message.isprintable()
    message.encode()


def refusal_of(data: bytes, limits: ArchiveLimits = SMALL) -> str:
    """The sentence with which a package is refused."""
    with pytest.raises(Invalid) as caught:
        inspect(data, limits)
    [error] = caught.value.errors
    assert error.field == "data"
    assert error.message.endswith(".")
    return error.message


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "absolute-name": (lambda: packed(("/etc/passwd", b"x")), "outside"),
    "name-above-the-tree": (lambda: packed(("../x", b"x")), "outside"),
    "name-above-in-the-middle": (lambda: packed(("a/../../x", b"x")), "outside"),
    "folder-above-the-tree": (lambda: packed(member("..", tarfile.DIRTYPE)), "outside"),
    "character-device": (lambda: packed(member("a", tarfile.CHRTYPE)), "neither"),
    "block-device": (lambda: packed(member("a", tarfile.BLKTYPE)), "neither"),
    "pipe": (lambda: packed(member("a", tarfile.FIFOTYPE)), "neither"),
    "sparse-file": (lambda: packed(member("a", tarfile.GNUTYPE_SPARSE)), "neither|sound|whole"),
    "unnamed-file": (lambda: packed(("./", b"x")), "not the name"),
    "file-with-the-name-of-its-folder": (lambda: packed(("a/.", b"x")), "not the name"),
    "absolute-link": (lambda: packed(link("a", "/etc/passwd")), "leads out"),
    "link-above": (lambda: packed(link("a/b", "../../x")), "leads out"),
    "link-that-goes-out-and-in": (lambda: packed(link("a", "../tree/x")), "leads out"),
    "empty-link": (lambda: packed(link("a", "")), "leads out"),
    "hard-link-above": (lambda: packed(member("a", tarfile.LNKTYPE, "../x")), "outside"),
    "absolute-hard-link": (lambda: packed(member("a", tarfile.LNKTYPE, "/etc/passwd")), "outside"),
    "hard-link-to-nothing": (lambda: packed(member("a", tarfile.LNKTYPE, "b")), "no file"),
    "hard-link-to-a-link": (
        lambda: packed(link("b", "c"), ("c", b""), member("a", tarfile.LNKTYPE, "b")),
        "no file",
    ),
    "file-behind-a-link": (lambda: packed(link("a", "b"), ("a/x", b"1")), "behind"),
    "file-behind-a-later-link": (lambda: packed(("a/x", b"1"), link("a", "b")), "behind"),
    "file-behind-a-file": (lambda: packed(("a", b""), ("a/x", b"1")), "behind"),
    "link-through-a-link": (
        lambda: packed(link("p/q/l", "../.."), link("p/m", "q/l/../x")),
        "through the link",
    ),
    "file-over-a-link": (lambda: packed(link("a", "b"), ("a", b"1")), "twice"),
    "link-over-a-file": (lambda: packed(("./a", b"1"), link("a", "b")), "twice"),
    "folder-over-a-link": (lambda: packed(link("a", "b"), member("a", tarfile.DIRTYPE)), "twice"),
    "too-many-members": (lambda: packed(*((str(n), b"") for n in range(11))), "more than 10 files"),
    "too-many-bytes": (lambda: gzip.compress(tar(("a", bytes(range(256)) * 900))), "unpacks to"),
    "bomb": (lambda: packed(("a", b"\0" * 150_000)), "bomb"),
    "bomb-behind-the-end": (lambda: gzip.compress(tar(("a", b"")) + b"\0" * 150_000), "bomb"),
    "no-gzip": (lambda: tar(("a", b"1")), "whole gzip"),
    "no-tar": (lambda: gzip.compress(b"hello" * 1000), "damaged|whole"),
    "nothing": (lambda: b"", "whole"),
    "empty-gzip": (lambda: gzip.compress(b""), "whole|empty"),
    "empty-tar": (lambda: packed(), "empty"),
    "other-checksum": (lambda: packed(("a", b"1"))[:-8] + b"\0" * 8, "whole"),
    "trailing-rubbish": (lambda: packed(("a", b"1")) + b"rubbish", "whole"),
    "damaged-second-header": (
        lambda: gzip.compress(tar(("a", b""))[:512] + b"x" * 512 + b"\0" * 1024),
        "damaged",
    ),
    "large-configuration": (lambda: packed(("valohai.yaml", b"x" * 1001)), "larger"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_package_is_refused(name: str) -> None:
    make, words = HOSTILE[name]
    assert re.search(words, refusal_of(make()))


@pytest.mark.parametrize("cut", [1, 9, 20, -300, -9, -1])
def test_a_package_that_was_cut_off_is_refused(cut: int) -> None:
    whole = packed(("a", bytes(range(256)) * 20), ("b", b"x"), level=1)
    inspect(whole)
    assert re.search("whole|damaged", refusal_of(whole[:cut]))


def test_a_header_that_wants_all_memory_is_refused() -> None:
    header = member("a", tarfile.XHDTYPE)
    header.size = 2 << 30
    data = header.tobuf() + b"\0" * 4096
    assert "too large" in refusal_of(gzip.compress(data))


def test_a_chain_of_headers_without_an_end_is_refused() -> None:
    header = member("a", tarfile.GNUTYPE_LONGNAME)
    header.size = 1
    block = header.tobuf() + b"a" + b"\0" * 511
    generous = ArchiveLimits()
    assert "sound" in refusal_of(gzip.compress(block * 5000), generous)


def test_a_file_that_is_shorter_than_it_says_is_refused() -> None:
    header = member("a")
    header.size = 10**12
    assert "whole" in refusal_of(gzip.compress(header.tobuf() + b"\0" * 1024))


@pytest.mark.parametrize("size", ["1000000000000000000000", "-1", "-1000000", "none", "1e9"])
def test_a_size_in_a_second_header_is_not_trusted(size: str) -> None:
    header = member("a")
    header.size = 4
    header.pax_headers = {"size": size}
    data = header.tobuf(tarfile.PAX_FORMAT) + b"1234" + b"\0" * 508
    with pytest.raises(Invalid):
        inspect(gzip.compress(data + header.tobuf(tarfile.PAX_FORMAT) + b"\0" * 2048))


def test_the_stream_is_left_open() -> None:
    stream = io.BytesIO(packed(("a", b"1")))
    inspect_archive(stream)
    assert not stream.closed
