"""Names we make ourselves."""

from __future__ import annotations

import pytest

from control.domain.names import file_name_of, number_clashes, object_name, without_password


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("sub/model.bin", "model.bin"),
        ("a b/ö ü.png", "_.png"),
        ("..", "file"),
        (".hidden", "hidden"),
        ("x" * 300, "x" * 120),
    ],
)
def test_object_names_are_safe_in_every_store(name: str, made: str) -> None:
    assert object_name(name) == made


def test_a_file_is_named_after_the_last_part_of_its_address() -> None:
    assert file_name_of("https://example.org/a/b%20c.csv?x=1") == "b c.csv"
    assert file_name_of("https://example.org") == "file"


def test_passwords_are_cut_out_of_addresses() -> None:
    assert without_password("https://ada:secret@example.org:8/x") == "https://example.org:8/x"
    assert without_password("datum://abc") == "datum://abc"


def test_later_files_of_the_same_name_are_numbered() -> None:
    assert number_clashes(["a.png", "a.png", "b", "a.png"]) == ["a.png", "a-2.png", "b", "a-3.png"]
