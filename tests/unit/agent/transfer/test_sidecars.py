from __future__ import annotations

from pathlib import Path

from agent.transfer.download import public_name
from agent.transfer.outputs import find_outputs
from agent.transfer.sidecars import is_sidecar, metadata_of, read_table


def test_the_table_extends_the_side_car_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "a.png.metadata.json").write_text('{"k": 1, "label": "cat"}')
    (tmp_path / "valohai.metadata.jsonl").write_text(
        '{"file": "a.png", "metadata": {"k": 5}}\nbroken\n[]\n'
        '{"file": "a.png", "metadata": {"k": 2}}\n'
    )
    assert metadata_of(tmp_path, "a.png", read_table(tmp_path)) == {"k": 2, "label": "cat"}


def test_what_describes_nothing_is_an_output() -> None:
    names = {"a.png", "a.png.metadata.json", "b.metadata.json", "valohai.metadata.jsonl"}
    assert {one for one in names if is_sidecar(one, names)} == {
        "a.png.metadata.json",
        "valohai.metadata.jsonl",
    }


def test_links_and_pipes_are_no_outputs(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("x")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    assert [one.name for one in find_outputs(tmp_path)] == ["sub/a"]


def test_addresses_are_shown_without_secrets() -> None:
    assert public_name("https://ada:pw@h.example:8/a/b?sig=1") == "https://h.example:8/a/b"
    assert public_name("datum://01") == "datum://01"
    assert public_name("s3://bucket/key") == "s3://bucket/key"
