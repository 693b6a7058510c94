"""PyTorch's names: of an LSTM's weights, of the operators that run it, and of its classes."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Any

NAME = re.compile(r"(?:(.*)\.)?(weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)(?:_l(\d+)(_reverse)?)?", re.DOTALL)
PLAIN = re.compile(r"(?:__torch__\.)?torch\.nn\.modules\.rnn\.(?:___torch_mangle_\d+\.)?LSTM(?:Cell)?")
DEEPEST = 100  # levels of dictionaries and modules within each other
KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
LAYER, PACKED, CELL = "lstm.input", "lstm.data", "lstm_cell.default"  # its operators, the second on packed sequences
OF_WEIGHTS = ("params", "w_ih", "w_hh", "b_ih", "b_hh")  # the arguments of these that are its weights


def weight_names(arguments: Mapping[str, Any], count: int) -> list[str]:
    """Return the names of the weights that an LSTM's operator with these arguments takes, `count` in all, in order."""
    layers = arguments.get("num_layers")
    if not isinstance(layers, int):  # a cell's
        return [*KINDS[:count]]
    ways = ("", "_reverse") if arguments.get("bidirectional") is True else ("",)
    ends = [f"_l{layer}{way}" for layer in range(min(layers, count)) for way in ways]
    kinds = [*KINDS] if arguments.get("has_biases") is True else [*KINDS[:2]]
    kinds += ["weight_hr"] * (count > len(ends) * len(kinds))
    return [kind + end for end in ends for kind in kinds]


def owners_of(name: str, prefixes: Container[str]) -> list[str]:
    """Return those of prefixes that a name begins with, the empty one among them, up to a depth."""
    owners, end = [""] if "" in prefixes else [], name.find(".", 1)
    for _ in range(DEEPEST):
        if end < 0:
            break
        if name[:end] in prefixes:
            owners.append(name[:end])
        end = name.find(".", end + 1)
    return owners
