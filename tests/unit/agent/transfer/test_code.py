"""An archive is unpacked without trust, by Python 3.11.2 as well, which has no filters."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from agent.phases.failures import PhaseFailed
from agent.transfer.code import unpack


def _file(name: str, content: bytes = b"x", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    return member, content


def _link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, to, 0o755
    return member, b""


def _pack(folder: Path, *members: tuple[tarfile.TarInfo, bytes]) -> tuple[Path, Path]:
    archive, target = folder / "code.tar.gz", folder / "target"
    target.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return archive, target


def test_files_and_links_that_stay_inside_arrive(tmp_path: Path) -> None:
    archive, target = _pack(
        tmp_path,
        _file("src/train.py", b"print()"),
        _file("run", mode=0o6777),
        _link("src/again.py", "train.py"),
        _link("hard", "run", tarfile.LNKTYPE),
        _link("nowhere", "not-there"),
    )
    assert unpack(archive, target) == 2
    assert (target / "src/again.py").read_bytes() == b"print()"
    assert (target / "run").stat().st_mode & 0o7777 == 0o755
    assert (target / "hard").read_bytes() == b"x"


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([_file("/etc/x")], id="absolute"),
        pytest.param([_file("a/../../x")], id="upwards"),
        pytest.param([_link("a", "/etc/passwd")], id="link-out"),
        pytest.param([_link("a", "../outside")], id="link-upwards"),
        pytest.param([_link("a", "../outside", tarfile.LNKTYPE)], id="hard-link-out"),
        pytest.param([_link("a", "/", tarfile.CHRTYPE)], id="device"),
        pytest.param(
            [_link("a", "b"), _link("b", ".."), _file("a/outside")], id="through-two-links"
        ),
        pytest.param([_link("d", "."), _link("d/e", ".."), _file("e/outside")], id="link-in-link"),
    ],
)
def test_what_points_outside_is_refused(
    members: list[tuple[tarfile.TarInfo, bytes]], tmp_path: Path
) -> None:
    archive, target = _pack(tmp_path, *members)
    with pytest.raises(PhaseFailed, match="refused"):
        unpack(archive, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["code.tar.gz", "target"]


def test_a_ring_of_links_does_no_harm(tmp_path: Path) -> None:
    archive, target = _pack(tmp_path, _link("a", "b"), _link("b", "a"))
    assert unpack(archive, target) == 0
