"""``python -m reading.train``: train the network that reads, on sentences of a small grammar.

It reads a letter and foretells the next one. It reads without capitals, but what is spoken is written in capitals: to
foretell those it has to know at every letter whether a quotation mark is open. No unit is told to follow the marks; one
does. A small penalty keeps the cell states that passages end in from growing beyond 1.

Adam with weight decay, over the gradients of `gw.backward`. The same seed gives the same weights on the same machine.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import gatewise as gw
from gatewise.playground import scenes
from reading.sentences import Writer, inside_quotes, spoken_in_capitals

UNITS, EMBEDDED = 16, 6
SEED, UPDATES = 1, 700
BATCH, LENGTH = 32, 90  # passages of an update, and their letters
RATE, WARM_UP, DECAY = 0.02, 50, 0.1
MOMENTUM, SECOND_MOMENTUM, TINY = 0.9, 0.99, 1e-8
LARGEST_NORM = 1.0
PENALTY = 0.03  # of the square by which a last cell state is beyond 1
UNKNOWN = 0.01  # the share of letters that it does not get to know
DECAYING = ("embedding", "weight", "head")
Weights = dict[str, Any]


def drawn(rng: np.random.Generator) -> Weights:
    """Return random weights; the forget gates begin open."""
    tokens, letters, columns = len(scenes.LETTERS) + 1, len(scenes.PREDICTED_LETTERS), UNITS + EMBEDDED
    weights = {
        "embedding": rng.normal(0, 0.5, (tokens, EMBEDDED)),
        "weight": rng.normal(0, columns**-0.5, (4, UNITS, columns)),
        "bias": np.zeros((4, UNITS)),
        "head": rng.normal(0, UNITS**-0.5, (letters, UNITS)),
        "head_bias": np.zeros(letters),
    }
    weights["bias"][1] = 2
    return {name: array.astype(np.float32) for name, array in weights.items()}


def network_of(weights: Mapping[str, Any]) -> gw.Network:
    """Return the network with these weights, without the softmax behind it."""
    cell = gw.LSTMCell.from_parameters(gw.Parameters(weights["weight"], weights["bias"]))
    head = gw.Linear(weights["head"], weights["head_bias"])
    return gw.Network(gw.LSTM.from_cells(cell), embedding=weights["embedding"], head=head)


def gradients(weights: Weights, rng: np.random.Generator, writer: Writer) -> tuple[float, Weights]:
    """Return the mean cross-entropy of the next letters of new passages, and its gradients."""
    texts = [spoken_in_capitals(writer.passage(LENGTH + 1)) for _ in range(BATCH)]
    letters = np.array([scenes.tokens(text[:-1]) for text in texts]).T
    letters[rng.random(letters.shape) < UNKNOWN] = 0
    goals = np.array([[scenes.PREDICTED_LETTERS.index(letter) for letter in text[1:]] for text in texts]).T[..., None]
    trace = network_of(weights).trace(letters)
    exponentials = np.exp(trace.output - trace.output.max(-1, keepdims=True))
    share = exponentials / exponentials.sum(-1, keepdims=True)
    of_goal = np.take_along_axis(share, goals, -1)
    loss = float(-np.log(of_goal).mean())
    np.put_along_axis(share, goals, of_goal - 1, -1)
    hidden, cells = trace.state[0][0]
    beyond = cells - np.clip(cells, -1, 1)
    dstate = gw.State(np.zeros_like(hidden), 2 * PENALTY / BATCH * beyond)
    found = gw.backward(trace, share / goals.size, ((dstate,),))
    cell = found.lstm[0].parameters
    return loss, {
        "embedding": found.embedding,
        "weight": cell["weight"],
        "bias": cell["bias"],
        "head": found.head_weight,
        "head_bias": found.head_bias,
    }


def training(seed: int = SEED, updates: int = UPDATES) -> Iterator[tuple[float, Weights]]:
    """Yield the loss before each update and the weights after it."""
    rng = np.random.default_rng(seed)
    writer, weights = Writer(rng), drawn(rng)
    mean, square = ({name: np.zeros_like(array) for name, array in weights.items()} for _ in "ms")
    for number in range(1, updates + 1):
        loss, of_loss = gradients(weights, rng, writer)
        norm = np.sqrt(sum(float((array**2).sum()) for array in of_loss.values()))
        rate = RATE * min(1, number / WARM_UP) * 0.5 * (1 + np.cos(np.pi * number / updates))
        for name, gradient in of_loss.items():
            gradient = gradient * min(1, LARGEST_NORM / norm)
            mean[name] = MOMENTUM * mean[name] + (1 - MOMENTUM) * gradient
            square[name] = SECOND_MOMENTUM * square[name] + (1 - SECOND_MOMENTUM) * gradient**2
            step = mean[name] / (1 - MOMENTUM**number)
            step = step / (np.sqrt(square[name] / (1 - SECOND_MOMENTUM**number)) + TINY)
            step = step + DECAY * weights[name] * (name in DECAYING)
            weights = weights | {name: (weights[name] - rate * step).astype(np.float32)}
        yield loss, weights


def correlations(network: gw.Network, texts: list[str]) -> np.ndarray:
    """Return the correlation of each unit's cell state with being inside quotation marks, over all letters of texts."""
    states = [np.asarray(network.trace(np.array(scenes.tokens(text))).lstm[0].cell_state) for text in texts]
    inside = np.concatenate([inside_quotes(text) for text in texts])
    return np.array([np.corrcoef(unit, inside)[0, 1] for unit in np.concatenate(states).T])


def unseen(seed: int, count: int = 40, length: int = 200) -> list[str]:
    """Return passages of another seed than the training's."""
    return [Writer(np.random.default_rng([seed, number])).passage(length) for number in range(count)]


def written(seed: int, weights: Mapping[str, Any]) -> str:
    """Return the text of the file of weights: whole numbers of hundredths."""
    stored = {name: np.rint(100 * array.astype(float)).astype(int).tolist() for name, array in weights.items()}
    return json.dumps({"seed": seed, **stored}, separators=(",", ":")) + "\n"


def main() -> None:
    """Train, say what was learned, and write the weights."""
    parser = argparse.ArgumentParser(prog="python -m reading.train", description="Train the network that reads.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--updates", type=int, default=UPDATES)
    parser.add_argument("-o", "--output", type=Path, help="the file of weights; without it none is written")
    given = parser.parse_args()
    weights: Weights = {}
    for number, (loss, weights) in enumerate(training(given.seed, given.updates), 1):
        if number % 50 == 0 or number == given.updates:
            of_units = correlations(network_of(weights), unseen(1))
            unit = int(np.abs(of_units).argmax())
            print(
                f"update {number}: loss {loss:.3f}, unit {unit} follows the marks by {of_units[unit]:.3f}", flush=True
            )
    if given.output is not None:
        given.output.write_text(written(given.seed, weights), encoding="utf-8")


if __name__ == "__main__":
    main()
