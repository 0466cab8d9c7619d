"""Every plug-in that we register is under contract here, and can be loaded by its name."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

KINDS = ("git", "stores", "queues", "clouds", "engines")
OURS = [
    point
    for kind in KINDS
    for point in entry_points(group=f"talkoot.{kind}")
    if point.value.startswith("control.plugins.")
]


def test_we_register_something_of_each_kind() -> None:
    assert {point.group for point in OURS} == {f"talkoot.{kind}" for kind in KINDS}


@pytest.mark.parametrize("point", OURS, ids=lambda point: f"{point.group}-{point.name}")
def test_a_registered_plug_in_is_under_contract(point: EntryPoint) -> None:
    plug_in = point.load()
    assert callable(plug_in.from_url)
    kind = point.group.removeprefix("talkoot.")
    suite = Path(__file__).with_name(f"test_{kind}.py").read_text()
    assert f"{plug_in.__name__}.from_url(" in suite
