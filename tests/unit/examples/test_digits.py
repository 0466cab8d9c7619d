"""The example's own parts: its data, its split, its network, its picture and what it writes."""

from __future__ import annotations

import hashlib
import importlib
import json
import struct
import sys
import zlib
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import valohai_yaml
from valohai_yaml.lint import lint_file

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "digits"
DATA = ROOT / "examples" / "digits-data" / "digits.csv.gz"
MODULES = ("train", "network", "picture")
FAST = Namespace(epochs=3, learning_rate=0.08, hidden_units=24, seed=1)


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(EXAMPLE)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield importlib.import_module("train")
    for name in MODULES:
        sys.modules.pop(name, None)


def decode_png(content: bytes) -> tuple[int, int, list[bytes]]:
    """Answer width, height and the rows of three bytes a pixel; check every checksum."""
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    chunks: dict[bytes, bytes] = {}
    place = 8
    while place < len(content):
        (length,) = struct.unpack_from(">I", content, place)
        kind, body = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", content, place + 8 + length)
        assert checksum == zlib.crc32(kind + body)
        chunks[kind] = body
        place += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, *_rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colour) == (8, 2)
    pixels = zlib.decompress(chunks[b"IDAT"])
    line = 1 + 3 * width
    assert len(pixels) == line * height
    return width, height, [pixels[y * line + 1 : (y + 1) * line] for y in range(height)]


def test_the_data_is_what_its_readme_names() -> None:
    checksum = hashlib.sha256(DATA.read_bytes()).hexdigest()
    assert checksum in (DATA.parent / "README.md").read_text()
    assert checksum in (EXAMPLE / "README.md").read_text()


def test_the_data_has_1797_pictures_of_64_pixels(train: Any) -> None:
    examples = train.read_examples(DATA)
    assert len(examples) == 1797
    assert {len(each.pixels) for each in examples} == {65}
    assert {each.digit for each in examples} == set(range(10))
    assert all(0.0 <= value <= 1.0 for each in examples for value in each.pixels)


def test_a_plain_file_is_read_too(train: Any, tmp_path: Path) -> None:
    row = ",".join(["16"] + ["0"] * 63 + ["7"])
    plain = tmp_path / "one.csv"
    plain.write_text(row + "\n")
    (example,) = train.read_examples(plain)
    assert (example.digit, example.pixels[0], example.pixels[1]) == (7, 1.0, 0.0)


def test_every_fifth_picture_of_each_digit_is_held_out_and_no_other(train: Any) -> None:
    examples = train.read_examples(DATA)
    training, held_out = train.split(examples)
    assert len(training) + len(held_out) == len(examples)
    assert not {id(each) for each in training} & {id(each) for each in held_out}
    total = Counter(each.digit for each in examples)
    aside = Counter(each.digit for each in held_out)
    assert aside == {digit: count // 5 for digit, count in total.items()}


def test_three_epochs_read_more_than_95_percent_right(
    train: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    training, held_out = train.split(train.read_examples(DATA))
    network = train.train(training, held_out, FAST)
    assert train.accuracy(train.confuse(network, held_out)) > 0.95

    points = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [point["epoch"] for point in points] == [1, 2, 3]
    assert points[-1]["accuracy"] > 0.95
    assert points[0]["loss"] > points[-1]["loss"]


def test_equal_seeds_give_equal_models_and_others_do_not(train: Any) -> None:
    training, held_out = train.split(train.read_examples(DATA))
    few, fewer = training[:60], held_out[:10]
    again = Namespace(**vars(FAST))
    other = Namespace(**{**vars(FAST), "seed": 2})
    first = train.train(few, fewer, FAST).to_json()
    assert train.train(few, fewer, again).to_json() == first
    assert train.train(few, fewer, other).to_json() != first


def test_the_outputs_are_a_tagged_model_its_metrics_and_a_picture(
    train: Any, tmp_path: Path
) -> None:
    training, held_out = train.split(train.read_examples(DATA))
    network = train.train(training[:60], held_out[:10], FAST)
    share = train.write_outputs(tmp_path, network, held_out, FAST)

    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["accuracy"] == round(share, 4)
    assert sum(map(sum, metrics["confusion"])) == metrics["held_out"] == len(held_out)
    assert metrics["parameters"] == vars(FAST)
    model = json.loads((tmp_path / "model.json").read_text())
    assert [len(model["hidden"]), len(model["hidden"][0])] == [24, 65]
    assert [len(model["output"]), len(model["output"][0])] == [10, 25]
    properties = json.loads((tmp_path / "model.json.metadata.json").read_text())
    assert properties["valohai.tags"] == ["digits", "classifier"]
    width, height, _ = decode_png((tmp_path / "confusion.png").read_bytes())
    assert min(width, height) > 500


def test_the_picture_shows_right_answers_on_the_diagonal_and_mistakes_beside_it(
    train: Any,
) -> None:
    confusion = [[40 if row == column else 0 for column in range(10)] for row in range(10)]
    confusion[3][8] = 2
    picture = sys.modules["picture"]
    width, height, rows = decode_png(picture.confusion_picture(confusion, 0.995))

    def corner(row: int, column: int) -> tuple[int, ...]:
        side = picture.CELL + picture.GAP
        x, y = picture.LEFT + column * side + 2, picture.TOP + row * side + 2
        return tuple(rows[y][x * 3 : x * 3 + 3])

    assert width > 500
    assert height > 500
    assert corner(4, 4) == picture.RIGHT
    assert corner(0, 1) == picture.EMPTY
    red, green, blue = corner(3, 8)
    assert red > green
    assert red > blue


def test_the_picture_has_a_letter_for_every_share(train: Any) -> None:
    picture = sys.modules["picture"]
    confusion = [[0] * 10 for _ in range(10)]
    confusion[0] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    for share in (0.0, 0.123456789, 1.0):
        width, height, rows = decode_png(picture.confusion_picture(confusion, share))
        assert (len(rows), len(rows[0])) == (height, 3 * width)


def test_the_command_line_wins_over_the_platforms_file_and_that_over_defaults(
    train: Any, tmp_path: Path
) -> None:
    (tmp_path / "parameters.json").write_text('{"epochs": 7, "seed": 3}')
    settings = train.read_settings(["--seed=9"], tmp_path)
    assert (settings.epochs, settings.seed) == (7, 9)
    assert settings.hidden_units == train.DEFAULTS["hidden_units"]


def test_an_empty_input_ends_with_a_sentence(train: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="No CSV file in"):
        train.find_input(tmp_path)


def test_the_configuration_is_valid_and_has_the_programs_own_defaults(train: Any) -> None:
    path = EXAMPLE / "valohai.yaml"
    assert list(lint_file(str(path)).messages) == []
    step = valohai_yaml.parse(path.read_text()).steps["train"]
    assert {name: each.default for name, each in step.parameters.items()} == train.DEFAULTS
    assert step.inputs["digits"].optional is False
