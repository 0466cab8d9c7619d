"""Train a classifier of hand-written digits with the standard library alone.

Reads the pictures of the input `digits`, keeps every fifth picture of each digit aside, trains on
the others, and writes a model, its metrics and a picture of its mistakes. Each epoch prints one
JSON line, which Talkoot keeps as metadata of the execution.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from network import CLASSES, Network, learn, new_network, predict
from picture import confusion_picture

BRIGHTEST = 16.0
HELD_OUT_EACH = 5
DEFAULTS = {"epochs": 30, "learning_rate": 0.08, "hidden_units": 32, "seed": 1}


@dataclass(frozen=True)
class Example:
    """One picture: 64 values from 0 to 1 and the constant 1 of the bias, and the digit it shows."""

    pixels: list[float]
    digit: int


def read_examples(path: Path) -> list[Example]:
    """Read rows of 64 pixels (0 to 16) and a digit, from a CSV file, gzipped or plain."""
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    rows = [[float(cell) for cell in row] for row in csv.reader(text.splitlines())]
    return [
        Example([value / BRIGHTEST for value in row[:-1]] + [1.0], int(row[-1])) for row in rows
    ]


def split(examples: list[Example]) -> tuple[list[Example], list[Example]]:
    """Answer the pictures to train on and those held out: each digit's every fifth one."""
    seen = [0] * CLASSES
    training: list[Example] = []
    held_out: list[Example] = []
    for example in examples:
        seen[example.digit] += 1
        kept_aside = seen[example.digit] % HELD_OUT_EACH == 0
        (held_out if kept_aside else training).append(example)
    return training, held_out


def train(
    training: list[Example], held_out: list[Example], settings: argparse.Namespace
) -> Network:
    """Train for all epochs, with a rate that falls to nothing, and print the metrics of each."""
    dice = random.Random(settings.seed)
    network = new_network(len(training[0].pixels) - 1, settings.hidden_units, dice)
    order = list(training)
    started = time.monotonic()
    for epoch in range(1, settings.epochs + 1):
        rate = settings.learning_rate * (1 - (epoch - 1) / settings.epochs)
        dice.shuffle(order)
        total = sum(learn(network, each.pixels, each.digit, rate) for each in order)
        seconds = time.monotonic() - started
        report = {
            "epoch": epoch,
            "loss": round(total / len(order), 5),
            "accuracy": round(accuracy(confuse(network, held_out)), 4),
            "learning_rate": round(rate, 5),
            "seconds": round(seconds, 2),
        }
        print(json.dumps(report))
        if epoch % max(1, settings.epochs // 5) == 0 and epoch < settings.epochs:
            left = seconds / epoch * (settings.epochs - epoch)
            print(f"Epoch {epoch} of {settings.epochs}, about {left:.0f} s left", file=sys.stderr)
    return network


def confuse(network: Network, examples: list[Example]) -> list[list[int]]:
    """Count the answers: a row for each digit as written, a column for each as read."""
    counts = [[0] * CLASSES for _ in range(CLASSES)]
    for example in examples:
        counts[example.digit][predict(network, example.pixels)[0]] += 1
    return counts


def accuracy(confusion: list[list[int]]) -> float:
    """Answer the share that was read right, 0 to 1."""
    right = sum(confusion[digit][digit] for digit in range(CLASSES))
    return right / sum(map(sum, confusion))


def write_outputs(
    folder: Path, network: Network, held_out: list[Example], settings: argparse.Namespace
) -> float:
    """Write the model with its properties, the metrics and the picture; answer the accuracy."""
    confusion = confuse(network, held_out)
    share = accuracy(confusion)
    metrics = {
        "accuracy": round(share, 4),
        "held_out": len(held_out),
        "mistakes": len(held_out) - sum(confusion[digit][digit] for digit in range(CLASSES)),
        "recall": {digit: round(row[digit] / sum(row), 4) for digit, row in enumerate(confusion)},
        "confusion": confusion,
        "parameters": vars(settings),
    }
    properties = {"valohai.tags": ["digits", "classifier"], "accuracy": metrics["accuracy"]}
    folder.mkdir(parents=True, exist_ok=True)
    # The side-car comes first, so that it is there whenever the model is looked at.
    (folder / "model.json.metadata.json").write_text(json.dumps(properties))
    (folder / "model.json").write_text(json.dumps(network.to_json()))
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    (folder / "confusion.png").write_bytes(confusion_picture(confusion, share))
    return share


def read_settings(arguments: list[str], config: Path | None) -> argparse.Namespace:
    """Merge defaults, the platform's parameters.json when there is one, and the command line."""
    defaults = dict(DEFAULTS)
    if config and (config / "parameters.json").is_file():
        given = json.loads((config / "parameters.json").read_text())
        defaults.update({name: given[name] for name in DEFAULTS if name in given})
    parser = argparse.ArgumentParser(description="Train a classifier of hand-written digits.")
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=type(DEFAULTS[name]), default=value)
    return parser.parse_args(arguments)


def find_input(folder: Path) -> Path:
    """Answer the one file of the input; end with a sentence when there is none."""
    files = sorted(path for path in folder.glob("*.csv*") if path.is_file())
    if not files:
        raise SystemExit(f"No CSV file in {folder}: give the input `digits` one.")
    return files[0]


def main() -> None:
    config = os.environ.get("VH_CONFIG_DIR")
    settings = read_settings(sys.argv[1:], Path(config) if config else None)
    inputs = Path(os.environ.get("VH_INPUTS_DIR", "inputs")) / "digits"
    outputs = Path(os.environ.get("VH_OUTPUTS_DIR", "outputs"))

    training, held_out = split(read_examples(find_input(inputs)))
    print(f"{len(training)} digits to learn from, {len(held_out)} held out")
    network = train(training, held_out, settings)
    share = write_outputs(outputs, network, held_out, settings)
    print(f"Read {share:.1%} of the held-out digits right")


if __name__ == "__main__":
    main()
