"""A neural network with one hidden layer, in plain Python.

Small enough to read in one go: 64 pixels in, some hidden units, ten digits out. It is trained one
picture at a time by stochastic gradient descent, which suits an interpreter: the work of a step is
a few hundred sums over short lists.
"""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass
from operator import mul

CLASSES = 10


@dataclass
class Network:
    """One row of weights for each unit of a layer; the last weight of a row is its bias."""

    hidden: list[list[float]]
    output: list[list[float]]

    def to_json(self) -> dict[str, list[list[float]]]:
        return {
            layer: [[round(weight, 6) for weight in row] for row in rows]
            for layer, rows in asdict(self).items()
        }


def new_network(pixels: int, hidden_units: int, dice: random.Random) -> Network:
    """Draw weights that keep the size of the signal the same from layer to layer (He, Glorot)."""
    into_hidden = math.sqrt(2.0 / pixels)
    into_output = math.sqrt(1.0 / hidden_units)
    return Network(
        hidden=[_row(pixels, into_hidden, dice) for _ in range(hidden_units)],
        output=[_row(hidden_units, into_output, dice) for _ in range(CLASSES)],
    )


def _row(width: int, spread: float, dice: random.Random) -> list[float]:
    return [dice.gauss(0.0, spread) for _ in range(width)] + [0.0]


def activate(network: Network, pixels: list[float]) -> list[float]:
    """Answer the hidden units' values (rectified), with the constant 1 of the bias at the end."""
    values = [max(0.0, sum(map(mul, row, pixels))) for row in network.hidden]
    values.append(1.0)
    return values


def probabilities(network: Network, hidden: list[float]) -> list[float]:
    """Softmax over the ten outputs; the largest is taken off first so that exp never overflows."""
    scores = [sum(map(mul, row, hidden)) for row in network.output]
    highest = max(scores)
    powers = [math.exp(score - highest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def predict(network: Network, pixels: list[float]) -> tuple[int, float]:
    """Answer the likeliest digit and how sure the network is of it, 0 to 1."""
    chances = probabilities(network, activate(network, pixels))
    digit = max(range(CLASSES), key=chances.__getitem__)
    return digit, chances[digit]


def learn(network: Network, pixels: list[float], digit: int, rate: float) -> float:
    """Take one step down the gradient for one picture; answer its loss before the step."""
    hidden = activate(network, pixels)
    chances = probabilities(network, hidden)
    loss = -math.log(max(chances[digit], 1e-12))

    errors = chances
    errors[digit] -= 1.0
    # What each hidden unit contributed, by the weights as they were before this step.
    blame = [0.0] * len(hidden)
    for unit, error in enumerate(errors):
        row = network.output[unit]
        blame = [sofar + error * weight for sofar, weight in zip(blame, row, strict=True)]
        step = rate * error
        network.output[unit] = _moved(row, hidden, step)
    for unit, row in enumerate(network.hidden):
        if hidden[unit] > 0.0:  # a rectified unit that stayed silent learns nothing
            step = rate * blame[unit]
            network.hidden[unit] = _moved(row, pixels, step)
    return loss


def _moved(row: list[float], values: list[float], step: float) -> list[float]:
    return [weight - step * value for weight, value in zip(row, values, strict=True)]
