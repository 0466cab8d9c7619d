"""What the look through a package lets pass can be unpacked, and stays within its folder."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as some

from control.domain.archives import inspect_archive
from control.domain.errors import Invalid

PARTS = some.sampled_from(["a", "b", "c", ".", "..", ""])
NAMES = some.lists(PARTS, min_size=1, max_size=4).map("/".join)
KINDS = some.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
MEMBERS = some.lists(some.tuples(NAMES, KINDS, NAMES), min_size=1, max_size=5)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(members=MEMBERS)
@example(members=[("a/b", tarfile.SYMTYPE, ".."), ("a/c", tarfile.SYMTYPE, "b/../x")])
@example(members=[("a", tarfile.SYMTYPE, "b"), ("b", tarfile.DIRTYPE, ""), ("a/c", b"0", "")])
@example(members=[("a", tarfile.SYMTYPE, "."), ("a", tarfile.DIRTYPE, "")])
def test_an_accepted_package_unpacks_into_its_folder(
    members: list[tuple[str, bytes, str]],
) -> None:
    data = _packed(members)
    try:
        facts = inspect_archive(io.BytesIO(data))
    except Invalid:
        return
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "above" / "root"
        root.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(root, filter="data")
        assert facts.member_count == len(members)
        assert [path.name for path in root.parent.iterdir()] == ["root"]
        for folder, folders, files in os.walk(root):
            for name in (*folders, *files):
                assert os.path.realpath(Path(folder) / name).startswith(os.path.realpath(root))


def _packed(members: list[tuple[str, bytes, str]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, link in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.linkname = link
            archive.addfile(member)
    return gzip.compress(buffer.getvalue())
